// Waits for what other threads or processes do and give no signal of.
//
//   EXPECT_TRUE(Eventually([&] { return server.Stats().open_streams() == 0; }));
//
// The result does not depend on how fast the machine is. Eventually() returns as soon as the
// condition holds, so no length of sleep makes a test pass: only the condition does. The limit is
// far above what the slowest machine needs, and decides only when a test that fails gives up. A
// fixed sleep followed by one check would be wrong: it passes on a fast machine and fails on a busy
// one. Do not use Eventually() to show that something never happens.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace palate {

inline constexpr absl::Duration kEventuallyLimit = absl::Seconds(120);

// Calls `condition` on this thread, every 5 ms, until it returns true. Returns false if it is still
// false after `limit`; it is called at least once.
template <typename Condition>
[[nodiscard]] bool Eventually(const Condition& condition, absl::Duration limit = kEventuallyLimit) {
  const absl::Time end = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() >= end) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace palate
