// Threads that wait for work: they spin for a while, since the next force call is near, then sleep.
// A process that was forked has none of its parent's threads; a pool notices, and starts its own.

#ifndef IONSCAPE_POOL_HPP
#define IONSCAPE_POOL_HPP

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace ionscape {

// Threads of one process.
class Workers {
  public:
    explicit Workers(int threads) {
        try {
            for (int k = 1; k < threads; ++k) workers_.emplace_back([this, k] { serve(k); });
        } catch (...) {  // no more threads are to be had: those that there are must end before they are let go
            end();
            throw;
        }
    }

    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    ~Workers() { end(); }

    // Run work(0) here and work(1) .. work(threads - 1) beside it; return when all have ended. Throws if one did: work
    // throws nothing but that memory is lacking.
    void run(const std::function<void(int)>& work) {
        work_ = &work;
        failed_.store(false, std::memory_order_relaxed);
        left_.store(int(workers_.size()), std::memory_order_relaxed);
        order(false);
        attempt(0);
        for (int turn = 0; left_.load(std::memory_order_acquire) > 0; ++turn) breathe(turn > patience);
        if (failed_.load(std::memory_order_relaxed)) throw std::bad_alloc();
    }

  private:
    static constexpr int patience = 3000;  // breaths: some hundred microseconds

    static void breathe(bool give_way) {
        if (give_way) return std::this_thread::yield();
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("isb");
#endif
    }

    void attempt(int number) noexcept {
        try {
            (*work_)(number);
        } catch (...) {
            failed_.store(true, std::memory_order_relaxed);
        }
    }

    void order(bool end) {
        {
            std::lock_guard<std::mutex> hold(mutex_);
            end_ = end;
            round_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
    }

    void end() {
        order(true);
        for (std::thread& worker : workers_) worker.join();
    }

    void serve(int number) {
        for (long seen = 0;;) {
            for (int turn = 0; turn < patience && round_.load(std::memory_order_acquire) == seen; ++turn)
                breathe(false);
            if (round_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> hold(mutex_);
                wake_.wait(hold, [&] { return round_.load(std::memory_order_acquire) != seen; });
            }
            seen = round_.load(std::memory_order_acquire);
            if (end_) return;
            attempt(number);
            left_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<long> round_{0};
    std::atomic<int> left_{0};
    std::atomic<bool> failed_{false};
    const std::function<void(int)>* work_ = nullptr;
    bool end_ = false;
    std::vector<std::thread> workers_;  // the last member: they use the others
};

class Pool {
  public:
    explicit Pool(int threads) : threads_(threads), process_(process()), workers_(made(threads)) {}

    ~Pool() {
        if (forked()) leave();
    }

    int threads() const { return threads_; }

    // Run work(0) here and work(1) .. work(threads - 1) beside it; return when all are done.
    void run(const std::function<void(int)>& work) {
        if (threads_ == 1) return work(0);
        if (forked()) leave();
        if (!workers_) {  // forked, or no thread was left for them the last time
            workers_ = made(threads_);
            process_ = process();
        }
        workers_->run(work);
    }

  private:
    static long process() {
#if defined(_WIN32)
        return 0;
#else
        return long(getpid());
#endif
    }

    static std::unique_ptr<Workers> made(int threads) {
        return threads > 1 ? std::make_unique<Workers>(threads) : nullptr;
    }

    bool forked() const { return workers_ && process() != process_; }

    // Threads that a fork left behind cannot be joined, nor what they wait for destroyed.
    void leave() { static_cast<void>(workers_.release()); }

    int threads_;
    long process_;
    std::unique_ptr<Workers> workers_;
};

}  // namespace ionscape

#endif
