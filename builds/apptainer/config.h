/* What apptainer's own configure step writes for programs without a privilege, installed under /usr. */
#define PACKAGE_NAME "apptainer"
#define PACKAGE_VERSION "1.4.1"
#define SOURCEDIR "REPRODUCIBLE_BUILD"
#define BUILDDIR "REPRODUCIBLE_BUILD"
#define GO_BUILD_TAGS "containers_image_openpgp,sylog,apptainer_engine,fakeroot_engine,no_openssl"
#define PREFIX "/usr"
#define EXECPREFIX "/usr"
#define BINDIR "/usr/bin"
#define SBINDIR "/usr/sbin"
#define LIBDIR "/usr/lib"
#define INCLUDEDIR "/usr/include"
#define DATAROOTDIR "/usr/share"
#define DATADIR "/usr/share"
#define DOCDIR "/usr/share/doc/apptainer"
#define INFODIR "/usr/share/info"
#define LOCALEDIR "/usr/share/locale"
#define MANDIR "/usr/share/man"
#define SHAREDSTATEDIR "/usr/com"
#define RUNSTATEDIR "/run"
#define LIBEXECDIR "/usr/libexec"
#define SYSCONFDIR "/etc"
#define LOCALSTATEDIR "/var"
#define APPTAINER_CONFDIR SYSCONFDIR "/apptainer"
#define APPTAINER_CONF_FILE APPTAINER_CONFDIR "/apptainer.conf"
#define CAPABILITY_FILE APPTAINER_CONFDIR "/capability.json"
#define ECL_FILE APPTAINER_CONFDIR "/ecl.toml"
#define NVIDIALIBS_FILE APPTAINER_CONFDIR "/nvliblist.conf"
#define SESSIONDIR LOCALSTATEDIR "/apptainer/mnt/session"
#define APPTAINER_SUID_INSTALL 0
#define PLUGIN_ROOTDIR LIBEXECDIR "/apptainer/plugin"
#define ENGINE_CONFIG_ENV "ENGINE_CONFIG"
#define ENGINE_CONFIG_CHUNK_ENV "ENGINE_CONFIG_CHUNKS"
#define ENGINE_CONFIG_ENV_PADDING 13+1+2
#define MAX_CHUNK_SIZE 131072-ENGINE_CONFIG_ENV_PADDING
#define MAX_ENGINE_CONFIG_CHUNK 8
#define MAX_ENGINE_CONFIG_SIZE MAX_ENGINE_CONFIG_CHUNK*MAX_CHUNK_SIZE
#define NS_CLONE_NEWPID 1
#define NS_CLONE_FS 1
#define NS_CLONE_NEWNS 1
#define NS_CLONE_NEWUSER 1
#define NS_CLONE_NEWIPC 1
#define NS_CLONE_NEWNET 1
#define NS_CLONE_NEWUTS 1
#define NS_CLONE_NEWCGROUP 1
#define APPTAINER_NO_NEW_PRIVS 1
#define APPTAINER_MS_SLAVE 1
#define USER_CAPABILITIES 1
#define APPTAINER_SECUREBITS 1
