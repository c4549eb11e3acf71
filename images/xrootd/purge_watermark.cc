// Purge plugin of the XRootD file cache: once a purge has started (pfc.diskusage: files over their maximum), it goes on
// until the cached files use no more than the low watermark. Without it a purge stops just below the maximum.
//
//   pfc.purgelib /usr/lib/cantiere/purge_watermark.so BYTES

#include <cstdlib>

#include "XrdPfc/XrdPfcDirStatePurgeshot.hh"
#include "XrdPfc/XrdPfcPurgePin.hh"
#include "XrdSys/XrdSysError.hh"

namespace
{
class PurgeWatermark : public XrdPfc::PurgePin
{
public:
   explicit PurgeWatermark(XrdSysError &log) : m_log(log) {}

   // Asked only when the cache itself has decided to purge.
   bool CallPeriodically() override { return false; }

   bool ConfigPurgePin(const char *params) override
   {
      char *end = nullptr;
      const long long low = params ? std::strtoll(params, &end, 10) : 0;
      if (low <= 0 || *end)
      {
         m_log.Emsg("PurgeWatermark", "the low watermark must be a number of bytes, it is", params ? params : "missing");
         std::exit(1); // the cache ignores what this function returns
      }
      DirInfo everything;
      everything.path        = "/";
      everything.nBytesQuota = low;
      m_list.push_back(everything);
      return true;
   }

   long long GetBytesToRecover(const XrdPfc::DataFsPurgeshot &now) override
   {
      DirInfo &everything = m_list.front();
      const long long over = now.m_file_usage - everything.nBytesQuota;
      everything.nBytesToRecover = over > 0 ? over : 0;
      return everything.nBytesToRecover;
   }

private:
   XrdSysError &m_log;
};
}

extern "C" XrdPfc::PurgePin *XrdPfcGetPurgePin(XrdSysError &log)
{
   return new PurgeWatermark(log);
}
