#include "services/runtime/share.h"

#include <filesystem>
#include <system_error>

namespace palate::services {

std::string SharedFile(const std::string& name) {
  std::error_code error;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", error);
  return (executable.parent_path().parent_path() / "share" / name).string();
}

}  // namespace palate::services
