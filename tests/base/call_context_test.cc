#include "base/call_context.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace palate {
namespace {

// Observers hold a pointer to const, which cannot cancel.
template <typename T>
concept CanCancel = requires(T& t) {
  t.Cancel();
};
static_assert(CanCancel<Cancellation>);
static_assert(!CanCancel<const Cancellation>);

TEST(CancellationTest, RunsCallbacksOnceOnTheCancellingThread) {
  Cancellation cancellation;
  int calls = 0;
  std::thread::id thread;
  const CancelRegistration registration = cancellation.OnCancel([&] {
    ++calls;
    thread = std::this_thread::get_id();
  });
  EXPECT_FALSE(cancellation.cancelled());
  EXPECT_EQ(calls, 0);

  cancellation.Cancel();
  cancellation.Cancel();

  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(CancellationTest, RunsACallbackAtOnceWhenAlreadyCancelled) {
  Cancellation cancellation;
  cancellation.Cancel();
  bool called = false;

  const CancelRegistration registration = cancellation.OnCancel([&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(CancellationTest, IsCancelledBeforeCallbacksRun) {
  Cancellation cancellation;
  bool seen = false;
  const CancelRegistration registration =
      cancellation.OnCancel([&] { seen = cancellation.cancelled(); });

  cancellation.Cancel();
  EXPECT_TRUE(seen);
}

TEST(CancellationTest, DoesNotRunACallbackWhoseRegistrationIsGone) {
  Cancellation cancellation;
  bool called = false;
  {
    const CancelRegistration registration = cancellation.OnCancel([&] { called = true; });
  }

  cancellation.Cancel();
  EXPECT_FALSE(called);
}

TEST(CancellationTest, LetsACallbackDestroyItsOwnRegistration) {
  Cancellation cancellation;
  std::unique_ptr<CancelRegistration> registration;
  bool called = false;
  registration.reset(new CancelRegistration(cancellation.OnCancel([&] {
    called = true;
    registration.reset();
  })));

  cancellation.Cancel();
  EXPECT_TRUE(called);
  EXPECT_EQ(registration, nullptr);
}

TEST(CancellationTest, DestroyingARegistrationWaitsForItsRunningCallback) {
  Cancellation cancellation;
  std::latch running(1);
  std::latch destroying(1);
  bool ended = false;  // not atomic, so that ThreadSanitizer checks the destructor's ordering
  std::unique_ptr<CancelRegistration> registration(
      new CancelRegistration(cancellation.OnCancel([&] {
        running.count_down();
        destroying.wait();
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        ended = true;
      })));
  std::thread canceller([&] { cancellation.Cancel(); });
  running.wait();

  destroying.count_down();
  registration.reset();
  EXPECT_TRUE(ended);

  canceller.join();
}

TEST(CancellationTest, ARegistrationMayOutliveTheCancellation) {
  bool called = false;
  auto cancellation = std::make_unique<Cancellation>();
  const CancelRegistration registration = cancellation->OnCancel([&] { called = true; });

  cancellation.reset();
  EXPECT_FALSE(called);
}

// Threads register and unregister while others cancel, for ThreadSanitizer. Each callback writes a
// non-atomic variable, which its thread reads after the registration is destroyed.
TEST(CancellationTest, RegisteringAndCancellingMayRace) {
  constexpr int kRounds = 200;
  constexpr int kObservers = 4;

  for (int round = 0; round < kRounds; ++round) {
    const auto cancellation = std::make_shared<Cancellation>();
    const std::shared_ptr<const Cancellation> observed = cancellation;
    std::atomic<int> ready = 0;
    std::atomic<int> runs = 0;
    std::vector<std::thread> threads;

    for (int i = 0; i < kObservers; ++i) {
      threads.emplace_back([&, observed] {
        int calls = 0;
        ++ready;
        for (bool last = false; !last;) {
          last = observed->cancelled();
          const CancelRegistration registration = observed->OnCancel([&calls] { ++calls; });
        }
        runs += calls;
        EXPECT_GE(calls, 1);
      });
    }

    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        while (ready < kObservers) std::this_thread::yield();
        cancellation->Cancel();
      });
    }

    for (std::thread& thread : threads) thread.join();
    EXPECT_GE(runs, kObservers);
  }
}

// The wait of the header's example: the cancellation wakes it, in whichever order the two run.
TEST(CancellationTest, WakesAWaitThatHasNoDeadline) {
  for (int round = 0; round < 200; ++round) {
    const auto cancellation = std::make_shared<Cancellation>();
    const CallContext context = {.cancellation = cancellation};
    std::thread canceller([&] { cancellation->Cancel(); });

    absl::Status status;
    {
      Mutex mutex;
      CondVar changed;
      const CancelRegistration wake = context.OnCancel([&] {
        MutexLock lock(mutex);
        changed.SignalAll();
      });
      MutexLock lock(mutex);
      while (status.ok()) {
        status = context.Check();
        if (status.ok()) changed.Wait(mutex);
      }
    }

    canceller.join();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  }
}

TEST(CallContextTest, IsWantedForEverByDefault) {
  const CallContext context;
  EXPECT_FALSE(context.cancelled());
  EXPECT_TRUE(context.Check().ok());
  bool called = false;
  {
    const CancelRegistration registration = context.OnCancel([&] { called = true; });
  }
  EXPECT_FALSE(called);
}

TEST(CallContextTest, ChecksTheDeadlineAgainstTheGivenTime) {
  const absl::Time deadline = absl::FromUnixSeconds(100);
  const CallContext context = {.deadline = deadline};

  EXPECT_TRUE(context.Check("the search", deadline - absl::Nanoseconds(1)).ok());
  const absl::Status late = context.Check("the search", deadline);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late));
  EXPECT_EQ(late.message(), "the search did not finish before the deadline");
  EXPECT_TRUE(absl::IsDeadlineExceeded(context.Check())) << "the time is now by default";
}

TEST(CallContextTest, SaysCancelledRatherThanLate) {
  const auto cancellation = std::make_shared<Cancellation>();
  const CallContext context = {absl::InfinitePast(), cancellation};
  cancellation->Cancel();
  EXPECT_TRUE(context.cancelled());
  EXPECT_EQ(context.Check("the search"), absl::CancelledError("the search was cancelled"));
}

TEST(CallContextTest, WithDeadlineKeepsTheEarlierDeadlineAndTheCancellation) {
  const auto cancellation = std::make_shared<Cancellation>();
  const absl::Time deadline = absl::FromUnixSeconds(100);
  const CallContext context = {deadline, cancellation};

  EXPECT_EQ(context.WithDeadline(deadline - absl::Seconds(1)).deadline,
            deadline - absl::Seconds(1));
  EXPECT_EQ(context.WithDeadline(deadline + absl::Seconds(1)).deadline, deadline);

  cancellation->Cancel();
  EXPECT_TRUE(context.WithDeadline(deadline).cancelled());
}

}  // namespace
}  // namespace palate
