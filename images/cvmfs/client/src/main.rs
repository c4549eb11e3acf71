//! Mounts a CernVM-FS repository for every user: `cvmfs-mount URL MOUNT_POINT CACHE_DIRECTORY`.
//!
//! Stays in the foreground until it is unmounted. The log level comes from `RUST_LOG`.

use std::{env, error::Error, process::ExitCode, thread};

use cvmfs::{fetcher::Fetcher, file_system::CernvmFileSystem, repository::Repository};
use fuser::{Config, MountOption, SessionACL};

fn mount(url: &str, mount_point: &str, cache: &str) -> Result<(), Box<dyn Error>> {
    let repository = Repository::new(Fetcher::new(url, cache, true)?)?;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        MountOption::FSName("cvmfs".into()),
    ];
    config.acl = SessionACL::All;
    config.n_threads = Some(thread::available_parallelism()?.get());
    config.clone_fd = true;
    fuser::mount2(CernvmFileSystem::new(repository)?, mount_point, &config)?;
    Ok(())
}

fn main() -> ExitCode {
    env_logger::init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, mount_point, cache] = arguments.as_slice() else {
        eprintln!("usage: cvmfs-mount URL MOUNT_POINT CACHE_DIRECTORY");
        return ExitCode::from(2);
    };
    match mount(url, mount_point, cache) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cvmfs-mount: cannot mount {url} at {mount_point}: {error}");
            ExitCode::FAILURE
        }
    }
}
