// A folder of certificate files that a test changes.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/test_certificates.h"

namespace skein {

class CertificateFiles {
 public:
  CertificateFiles()
      : folder_(std::filesystem::path(testing::TempDir()) /
                absl::StrCat("skein-certificates-", getpid(), "-", next_++)) {
    std::filesystem::create_directories(folder_);
  }
  ~CertificateFiles() { std::filesystem::remove_all(folder_); }
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  std::string Path(const std::string& name) const { return folder_ / name; }
  // Never seen half written. Returns the path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name + ".new")) << text;
    std::filesystem::rename(Path(name + ".new"), Path(name));
    return Path(name);
  }
  // NAME.pem and NAME.key.
  void Install(const std::string& name, const TestCertificate& issued) const {
    Write(name + ".key", issued.key);
    Write(name + ".pem", issued.certificate);
  }

 private:
  static inline int next_ = 0;
  const std::filesystem::path folder_;
};

}  // namespace skein
