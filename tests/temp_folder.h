// An empty folder for one test, deleted with its contents when the object is destroyed.
//
//   const TempFolder folder;
//   folder.Write("config/model.json", "{}");
//   const auto store = FeatureStore::Open({.dir = folder.file("store")});
//
// Each object has a new folder under ::testing::TempDir(), so tests that run at the same time share
// nothing. Thread-compatible. A folder that cannot be made fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace palate {

class TempFolder {
 public:
  TempFolder() {
    path_ = (std::filesystem::path(::testing::TempDir()) / "palate-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(path_.data()), nullptr) << "cannot make a folder like " << path_;
  }

  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (!error) return;

    // What a read-only folder holds cannot be removed.
    MakeFoldersWritable();
    std::filesystem::remove_all(path_, error);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  // Absolute if ::testing::TempDir() is.
  const std::string& path() const { return path_; }

  // The path of a file in the folder, whether it exists or not.
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  // Writes a file, with its parent folders, and returns its path.
  std::string Write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = file(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

 private:
  void MakeFoldersWritable() const {
    namespace fs = std::filesystem;
    std::error_code ignored;
    fs::permissions(path_, fs::perms::owner_all, fs::perm_options::add, ignored);

    // An iterator opens a folder when it moves past it, which is after the folder's permissions
    // changed.
    for (fs::recursive_directory_iterator entry(path_, ignored), end; entry != end;
         entry.increment(ignored)) {
      if (!entry->is_directory(ignored) || entry->is_symlink(ignored)) continue;
      fs::permissions(entry->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    }
  }

  std::string path_;
};

}  // namespace palate
