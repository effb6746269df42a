// The words of kernel.h on a CPU. A block's threads are fibres; a barrier is a switch to the next. What a warp does
// together is an exchange between two barriers of the warp.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

namespace emulator {
/// In which order threads come, and when asynchronous copies arrive.
enum class Schedule { forward, backward, shuffled, greedy };
struct Size { unsigned x = 1, y = 1, z = 1; };

/// Threads that wait for each other.
struct Barrier { int alive = 0, arrived = 0; unsigned opened = 0; };

struct Copy { void *to; const void *from; };
struct Fibre {
    void *stack;
    Size index;
    int lane, warp;
    bool hasEnded;
    const Barrier *waitsAt;
    /// The last group is open; those before it are committed.
    std::vector<std::vector<Copy>> copies;
};
struct Warp {
    Barrier barrier;
    u32 words[32][8];
    const void *rows[32];
};

extern thread_local Fibre *now;
extern thread_local Size block, grid, threads;
extern thread_local unsigned char *sharedMemory;
extern thread_local bool copiesComeEarly;

void wait(Barrier &);
Barrier &blockBarrier();
Warp &warp();

typedef void Entry(void **arguments);
struct Registration { Registration(const char *name, Entry *entry, int threads); };

template <auto kernel> struct Call;
template <class... A, void (*kernel)(A...)> struct Call<kernel> {
    static void run(void **arguments) { run(arguments, std::index_sequence_for<A...>()); }
    template <size_t... i> static void run(void **arguments, std::index_sequence<i...>) {
        kernel(*(A *)arguments[i]...);
    }
};
}  // namespace emulator

#define threadIdx (emulator::now->index)
#define blockIdx (emulator::block)
#define blockDim (emulator::threads)
#define gridDim (emulator::grid)
#define DEVICE static inline
#define KERNEL(threads, name, ...)                                                                       \
    static void name(__VA_ARGS__);                                                                       \
    static emulator::Registration registered_##name(#name, emulator::Call<name>::run, threads);          \
    static void name(__VA_ARGS__)
#define DENSE_KERNEL(threads, blocks, name, ...) KERNEL(threads, name, __VA_ARGS__)
#define SHARED(type, name) type *name = (type *)emulator::sharedMemory
#define INFINITE INFINITY
#define UNROLL
#define UNROLL_BY(times)

struct bf16 { u16 bits; };
struct alignas(16) Word4 { u32 x, y, z, w; };

DEVICE float bits_as_float(u32 bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
DEVICE u32 rounded_bf16(float x) {
    u32 bits;
    memcpy(&bits, &x, 4);
    return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
DEVICE u32 pack_bf16(float low, float high) { return rounded_bf16(low) | rounded_bf16(high) << 16; }

DEVICE float power2(float x) { return exp2f(x); }

DEVICE void sync_block() { emulator::wait(emulator::blockBarrier()); }
DEVICE void sync_warp() { emulator::wait(emulator::warp().barrier); }

template <class T> DEVICE T exchange(T x, int lane) {
    auto &warp = emulator::warp();
    memcpy(warp.words[emulator::now->lane], &x, sizeof x);
    sync_warp();
    T other;
    memcpy(&other, warp.words[lane], sizeof other);
    sync_warp();
    return other;
}
DEVICE float shuffle_xor(float x, int lanes) { return exchange(x, emulator::now->lane ^ lanes); }
DEVICE double shuffle_xor(double x, int lanes) { return exchange(x, emulator::now->lane ^ lanes); }
DEVICE float shuffle(float x, int lane) { return exchange(x, lane); }

DEVICE void copy16_async(void *shared, const void *global) {
    auto &copies = emulator::now->copies;
    if (emulator::copiesComeEarly) {
        memcpy(shared, global, 16);
    } else {
        if (copies.empty()) copies.emplace_back();
        copies.back().push_back({shared, global});
    }
}
DEVICE void copy_commit() {
    auto &copies = emulator::now->copies;
    if (copies.empty()) copies.emplace_back();
    copies.emplace_back();
}
template <int pending> DEVICE void copy_wait() {
    auto &copies = emulator::now->copies;
    while ((int)copies.size() - 1 > pending) {
        for (auto &copy : copies.front()) memcpy(copy.to, copy.from, 16);
        copies.erase(copies.begin());
    }
}

DEVICE void load_matrices(u32 (&r)[4], const void *row) {
    auto &warp = emulator::warp();
    int lane = emulator::now->lane;
    warp.rows[lane] = row;
    sync_warp();
    for (int i = 0; i < 4; i++) memcpy(&r[i], (const u8 *)warp.rows[i * 8 + lane / 4] + lane % 4 * 4, 4);
    sync_warp();
}
DEVICE void load_matrices_transposed(u32 (&r)[4], const void *row) {
    auto &warp = emulator::warp();
    int lane = emulator::now->lane;
    warp.rows[lane] = row;
    sync_warp();
    for (int i = 0; i < 4; i++) {
        u16 pair[2];
        for (int p = 0; p < 2; p++) pair[p] = ((const u16 *)warp.rows[i * 8 + lane % 4 * 2 + p])[lane / 4];
        memcpy(&r[i], pair, 4);
    }
    sync_warp();
}
DEVICE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    auto &warp = emulator::warp();
    int lane = emulator::now->lane;
    u32 own[6] = {a[0], a[1], a[2], a[3], b0, b1};
    memcpy(warp.words[lane], own, sizeof own);
    sync_warp();
    for (int i = 0; i < 4; i++) {
        int row = lane / 4, below = i / 2, column = lane % 4 * 2 + i % 2;
        float sum = 0;
        for (int k = 0; k < 16; k++) {  // a: words 0, 1 hold k 0..<8 of rows 0..<8 and 8..<16; 2, 3 the k from 8
            int half = k / 8, owner = k % 8 / 2;
            u32 x = warp.words[row * 4 + owner][half * 2 + below], y = warp.words[column * 4 + owner][4 + half];
            if (k % 2) x >>= 16, y >>= 16;
            sum += bits_as_float(x << 16) * bits_as_float(y << 16);
        }
        d[i] += sum;
    }
    sync_warp();
}
