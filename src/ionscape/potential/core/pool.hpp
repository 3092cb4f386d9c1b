// Threads that wait for work: they spin for a while, since the next force call is near, then sleep.

#ifndef IONSCAPE_POOL_HPP
#define IONSCAPE_POOL_HPP

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ionscape {

class Pool {
  public:
    explicit Pool(int threads) {
        for (int k = 1; k < threads; ++k) workers_.emplace_back([this, k] { serve(k); });
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    ~Pool() {
        order(true);
        for (std::thread& worker : workers_) worker.join();
    }

    int threads() const { return int(workers_.size()) + 1; }

    // Run work(0) here and work(1) .. work(threads - 1) beside it; return when all are done.
    void run(const std::function<void(int)>& work) {
        if (workers_.empty()) return work(0);
        work_ = &work;
        left_.store(int(workers_.size()), std::memory_order_relaxed);
        order(false);
        work(0);
        for (int turn = 0; left_.load(std::memory_order_acquire) > 0; ++turn) breathe(turn > patience);
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

    void order(bool end) {
        {
            std::lock_guard<std::mutex> hold(mutex_);
            end_ = end;
            round_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
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
            (*work_)(number);
            left_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<long> round_{0};
    std::atomic<int> left_{0};
    const std::function<void(int)>* work_ = nullptr;
    bool end_ = false;
};

}  // namespace ionscape

#endif
