// The usage examples in the headers of base/, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/call_context.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace palate {
namespace {

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/base/usage_examples_test.cc");
}

TEST(UsageExampleTest, Bytes) {
  ExpectExampleOf("base/bytes.h");

  const uint64_t revision = 7;
  std::string key;
  AppendBigEndian64(revision, key);
  absl::string_view rest = key;
  uint64_t read = 0;
  const bool complete = ConsumeBigEndian64(rest, read);

  EXPECT_TRUE(complete);
  EXPECT_EQ(read, 7u);
  EXPECT_TRUE(rest.empty());
}

TEST(UsageExampleTest, CallContext) {
  ExpectExampleOf("base/call_context.h");

  class Gate {
   public:
    absl::Status WaitUntilOpen(const CallContext& context) {
      // Declared before the lock, because its destructor must not run under the lock.
      const CancelRegistration wake = context.OnCancel([this] {
        MutexLock lock(mutex_);
        changed_.SignalAll();
      });
      MutexLock lock(mutex_);
      while (!open_) {
        const absl::Time now = absl::Now();
        PALATE_RETURN_IF_ERROR(context.Check("the wait", now));
        changed_.WaitFor(mutex_, context.deadline - now);
      }
      return absl::OkStatus();
    }

   private:
    Mutex mutex_;
    CondVar changed_;
    bool open_ = false;
  };

  Gate gate;
  const auto cancellation = std::make_shared<Cancellation>();
  std::thread caller([cancellation] { cancellation->Cancel(); });
  const absl::Status status = gate.WaitUntilOpen({.cancellation = cancellation});
  caller.join();

  EXPECT_EQ(status, absl::CancelledError("the wait was cancelled"));
}

TEST(UsageExampleTest, Clock) {
  ExpectExampleOf("base/clock.h");

  ManualClock clock(absl::FromUnixSeconds(1'000));
  clock.Advance(absl::Seconds(5));
  const absl::Time now = clock.Now();  // 1,005 s after the epoch

  EXPECT_EQ(now, absl::FromUnixSeconds(1'005));
}

TEST(UsageExampleTest, Mutex) {
  ExpectExampleOf("base/mutex.h");

  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread worker([&] {
    MutexLock lock(mutex);
    ready = true;
    changed.SignalAll();
  });
  {
    MutexLock lock(mutex);
    while (!ready) changed.Wait(mutex);
  }
  worker.join();

  EXPECT_TRUE(ready);
}

TEST(UsageExampleTest, Status) {
  ExpectExampleOf("base/status.h");

  const std::string title(2000, 'a');
  auto check_title = [](const std::string& title) {
    if (title.size() <= 1024) return absl::OkStatus();
    return InvalidField("title", absl::StrCat("has ", title.size(), " bytes"), "at most 1024");
  };
  const absl::Status status = PrefixFields(check_title(title), "items[3]");

  EXPECT_EQ(status.message(), "items[3].title has 2000 bytes; must be at most 1024");
}

absl::Status UseThreadPool() {
  std::atomic<int> sum = 0;
  {
    ThreadPool pool("adder", /*num_threads=*/2, /*queue_limit=*/16);
    for (int i = 1; i <= 3; ++i) PALATE_RETURN_IF_ERROR(pool.Submit([&sum, i] { sum += i; }));
  }  // runs the tasks that are queued and joins the threads

  EXPECT_EQ(sum, 6);
  return absl::OkStatus();
}

TEST(UsageExampleTest, ThreadPool) {
  ExpectExampleOf("base/thread_pool.h");

  const absl::Status status = UseThreadPool();
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate
