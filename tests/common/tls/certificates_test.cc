#include "common/tls/certificates.h"

#include <atomic>
#include <map>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/tls/certificate_monitor.h"
#include "tests/common/tls/certificate_files.h"

namespace skein {
namespace {

// Hours from one whole second on, so that a test may go on past the end of that second.
absl::Time Hour(int hours) {
  static const absl::Time start = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  return start + absl::Hours(hours);
}

TEST(CertificatesTest, TheFirstToExpireCounts) {
  const CertificateFiles files;
  const TestAuthority authority;
  const std::string late = authority.Issue({.end = Hour(50)}).certificate;
  const std::string early = authority.Issue({.end = Hour(20)}).certificate;
  EXPECT_EQ(*CertificateExpiry(files.Write("one", late)), Hour(50));
  EXPECT_EQ(*CertificateExpiry(files.Write("both", late + early)), Hour(20));
  EXPECT_EQ(*CertificateExpiry(files.Write("old", authority.Issue({.end = Hour(-1)}).certificate)),
            Hour(-1));
}

TEST(CertificatesTest, WhatIsNoCertificateIsNamed) {
  const CertificateFiles files;
  EXPECT_TRUE(absl::IsNotFound(CertificateExpiry(files.Path("none")).status()));
  const absl::Status status = CertificateExpiry(files.Write("text", "hello")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), absl::StrCat(files.Path("text"), ": no certificate in PEM format"));
}

TEST(CertificatesTest, APairFitsTogether) {
  const CertificateFiles files;
  const TestAuthority authority;
  files.Install("a", authority.Issue());
  files.Install("b", authority.Issue());
  EXPECT_TRUE(CheckCertificatePair(files.Path("a.pem"), files.Path("a.key")).ok());
  const absl::Status mixed = CheckCertificatePair(files.Path("a.pem"), files.Path("b.key"));
  EXPECT_TRUE(absl::StrContains(mixed.message(), "not the private key of")) << mixed;
  const absl::Status swapped = CheckCertificatePair(files.Path("a.key"), files.Path("a.pem"));
  EXPECT_TRUE(absl::StrContains(swapped.message(), "no certificate")) << swapped;
  const absl::Status no_key = CheckCertificatePair(files.Path("a.pem"), files.Path("b.pem"));
  EXPECT_TRUE(absl::StrContains(no_key.message(), "no private key")) << no_key;
  EXPECT_TRUE(absl::IsNotFound(CheckCertificatePair(files.Path("a.pem"), files.Path("c.key"))));
}

TEST(CertificateMonitorTest, TellsWhenCertificatesExpire) {
  const CertificateFiles files;
  const TestAuthority authority;
  files.Install("a", authority.Issue({.end = Hour(5)}));
  files.Write("ca", authority.certificate());
  std::mutex mu;
  std::map<std::string, absl::Time> told;
  const auto expiry = [&](const std::string& name) {
    const std::lock_guard<std::mutex> lock(mu);
    return told[name];
  };
  const auto monitor = CertificateMonitor::Create(
      {{"server", files.Path("a.pem"), files.Path("a.key")}, {"client_ca", files.Path("ca")}},
      [&](const std::string& name, absl::Time time) {
        const std::lock_guard<std::mutex> lock(mu);
        told[name] = time;
      },
      absl::Milliseconds(20));
  ASSERT_TRUE(monitor.ok()) << monitor.status();
  EXPECT_EQ(expiry("server"), Hour(5));
  EXPECT_GT(expiry("client_ca"), Hour(1));
  files.Write("a.key", "broken");
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(expiry("server"), Hour(5));
  files.Install("a", authority.Issue({.end = Hour(9)}));
  for (int i = 0; i < 500 && expiry("server") != Hour(9); ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(expiry("server"), Hour(9));
}

TEST(CertificateMonitorTest, RefusesFilesThatCannotBeUsedAtTheStart) {
  const auto ignore = [](const std::string&, absl::Time) {};
  EXPECT_EQ(*CertificateMonitor::Create({}, ignore), nullptr);
  EXPECT_FALSE(CertificateMonitor::Create({{"server", "/no/such/file"}}, ignore).ok());
}

}  // namespace
}  // namespace skein
