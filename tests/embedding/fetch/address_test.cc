#include "embedding/fetch/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace palate::embedding {
namespace {

sockaddr_storage Address(const std::string& text) {
  sockaddr_storage storage = {};
  if (text.find(':') == std::string::npos) {
    auto& four = reinterpret_cast<sockaddr_in&>(storage);
    four.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, text.c_str(), &four.sin_addr), 1) << text;
  } else {
    auto& six = reinterpret_cast<sockaddr_in6&>(storage);
    six.sin6_family = AF_INET6;
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &six.sin6_addr), 1) << text;
  }
  return storage;
}

bool IsPublic(const std::string& text) {
  const sockaddr_storage storage = Address(text);
  return IsPublicAddress(reinterpret_cast<const sockaddr&>(storage));
}

bool IsLoopback(const std::string& text) {
  const sockaddr_storage storage = Address(text);
  return IsLoopbackAddress(reinterpret_cast<const sockaddr&>(storage));
}

TEST(IsPublicAddressTest, TakesAddressesOfTheInternet) {
  const char* const addresses[] = {"1.1.1.1",
                                   "8.8.8.8",
                                   "9.255.255.255",
                                   "11.0.0.0",
                                   "100.63.255.255",
                                   "100.128.0.0",
                                   "126.255.255.255",
                                   "128.0.0.1",
                                   "169.253.255.255",
                                   "169.255.0.0",
                                   "172.15.255.255",
                                   "172.32.0.0",
                                   "192.167.255.255",
                                   "192.169.0.0",
                                   "198.17.255.255",
                                   "198.20.0.0",
                                   "223.255.255.255",
                                   "2606:4700:4700::1111",
                                   "2001:4860:4860::8888",
                                   "2001:200::1",
                                   "3ffe:ffff::1"};

  for (const char* address : addresses) EXPECT_TRUE(IsPublic(address)) << address;
}

TEST(IsPublicAddressTest, RefusesAddressesThatAreNotOfTheInternet) {
  for (const char* address :
       {"0.0.0.0",         "0.1.2.3",         "10.0.0.1",        "10.255.255.255",
        "100.64.0.1",      "100.127.255.255", "127.0.0.1",       "127.255.255.255",
        "169.254.0.1",     "169.254.169.254", "172.16.0.1",      "172.31.255.255",
        "192.0.0.1",       "192.0.2.1",       "192.88.99.1",     "192.168.0.1",
        "192.168.255.255", "198.18.0.1",      "198.19.255.255",  "198.51.100.1",
        "203.0.113.1",     "224.0.0.1",       "239.255.255.255", "240.0.0.1",
        "255.255.255.255"}) {
    EXPECT_FALSE(IsPublic(address)) << address;
  }

  for (const char* address : {"::",
                              "::1",
                              "::ffff:8.8.8.8",
                              "::ffff:127.0.0.1",
                              "::8.8.8.8",
                              "64:ff9b::8.8.8.8",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:0:4136:e378::1",
                              "2001:10::1",
                              "2001:20::1",
                              "2001:db8::1",
                              "2002:808:808::1",
                              "2002:7f00:1::1",
                              "3fff::1",
                              "5f00::1",
                              "fc00::1",
                              "fd12:3456::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "ff0e::1"}) {
    EXPECT_FALSE(IsPublic(address)) << address;
  }
}

TEST(IsPublicAddressTest, RefusesOtherFamilies) {
  sockaddr_storage storage = {};
  storage.ss_family = AF_UNIX;
  EXPECT_FALSE(IsPublicAddress(reinterpret_cast<const sockaddr&>(storage)));
}

TEST(IsLoopbackAddressTest, KnowsThisMachine) {
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1"})
    EXPECT_TRUE(IsLoopback(address)) << address;
  for (const char* address : {"0.0.0.0", "10.0.0.1", "128.0.0.1", "::", "::ffff:127.0.0.1"})
    EXPECT_FALSE(IsLoopback(address)) << address;
}

}  // namespace
}  // namespace palate::embedding
