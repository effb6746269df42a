#include "emulator.h"

#include "CUDAEmulator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <sys/mman.h>

// switch_stack(save, load): what a call keeps goes to one stack and comes from another.
extern "C" void emulator_switch_stack(void **save, void *load);
#if defined(__x86_64__)
asm(R"(
.text
.globl emulator_switch_stack
.type emulator_switch_stack,@function
emulator_switch_stack:
    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
    ret
)");
enum { savedWords = 6, returnWord = 6, frameWords = 8 };
#elif defined(__aarch64__)
asm(R"(
.text
.globl emulator_switch_stack
.type emulator_switch_stack,%function
emulator_switch_stack:
    sub sp, sp, #160
    stp x19, x20, [sp]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]; stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]; stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]; ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]; ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
enum { savedWords = 20, returnWord = 11, frameWords = 20 };
#else
#error "a stack switch for this processor is missing"
#endif

namespace emulator {
thread_local Fibre *now;
thread_local Size block, grid, threads;
thread_local unsigned char *sharedMemory;
thread_local bool copiesComeEarly;

static constexpr size_t stackBytes = 64 << 10, mostThreads = 1024;

namespace {
struct Stacks {
    unsigned char *base;
    Stacks() : base((unsigned char *)mmap(nullptr, stackBytes * mostThreads, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        if (base == MAP_FAILED) abort();
    }
    ~Stacks() { munmap(base, stackBytes * mostThreads); }
};
/// One launch at a time on each of the host's threads.
struct State {
    Barrier barrier;
    std::vector<Warp> warps;
    std::vector<Fibre> fibres;
    std::vector<int> order;
    int place = 0;
    bool isGreedy = false, isStuck = false;
    void *home = nullptr;
    Entry *entry = nullptr;
    void **arguments = nullptr;
    long opened = 0, fruitless = 0;
    Stacks stacks;
};
thread_local State state;

struct Known { Entry *entry; int threads; };
std::map<std::string, Known> &kernels() {
    static std::map<std::string, Known> all;
    return all;
}
}  // namespace

Registration::Registration(const char *name, Entry *entry, int threads) { kernels()[name] = {entry, threads}; }

Barrier &blockBarrier() { return state.barrier; }
Warp &warp() { return state.warps[now->warp]; }

static void change(void **save, Fibre *next) {
    if (next) now = next;
    emulator_switch_stack(save, next ? next->stack : state.home);
}

/// To the next thread that has not ended; home when there is none.
static void yield() {
    Fibre *me = now;
    int count = state.order.size();
    if (state.isGreedy) {
        int first = me->warp * 32, size = std::min(count - first, 32), mine = me - state.fibres.data() - first;
        for (int i = 1; i <= size; i++) {
            Fibre *next = &state.fibres[first + (mine + i) % size];
            if (next->hasEnded || next->waitsAt == &state.barrier) continue;
            state.place = next - state.fibres.data();
            if (next != me) change(&me->stack, next);
            return;
        }
    }
    for (int i = 0; i < count; i++) {
        state.place = (state.place + 1) % count;
        Fibre *next = &state.fibres[state.order[state.place]];
        if (next->hasEnded) continue;
        if (next != me) change(&me->stack, next);
        return;
    }
    change(&me->stack, nullptr);
}

static void open(Barrier &barrier) {
    barrier.arrived = 0;
    barrier.opened++;
    state.opened++;
    for (auto &fibre : state.fibres)
        if (fibre.waitsAt == &barrier) fibre.waitsAt = nullptr;
}

void wait(Barrier &barrier) {
    unsigned before = barrier.opened;
    now->waitsAt = &barrier;
    if (++barrier.arrived >= barrier.alive) {
        open(barrier);
        return;
    }
    while (barrier.opened == before) {
        long opened = state.opened;
        yield();
        if (state.opened != opened) {
            state.fruitless = 0;
        } else if (++state.fruitless > 4 * (long)state.fibres.size() + 64) {
            state.isStuck = true;
            change(&now->stack, nullptr);
        }
    }
}

static void begin() {
    state.entry(state.arguments);
    now->hasEnded = true;
    state.opened++;
    for (Barrier *barrier : {&state.barrier, &state.warps[now->warp].barrier})
        if (--barrier->alive > 0 && barrier->arrived >= barrier->alive) open(*barrier);
    yield();
    abort();  // an ended thread does not come again
}

static bool runBlock(Schedule schedule, std::mt19937 &random) {
    int count = threads.x;
    state.barrier = {count, 0, 0};
    for (int i = 0; i < count; i++) {
        Fibre &fibre = state.fibres[i];
        fibre.index = {(unsigned)i, 0, 0};
        fibre.lane = i & 31, fibre.warp = i >> 5, fibre.hasEnded = false, fibre.waitsAt = nullptr;
        fibre.copies.clear();
        void **top = (void **)(state.stacks.base + stackBytes * (i + 1)) - 2;
        void **frame = top - frameWords + (frameWords == 8 ? 2 : 0);
        std::fill(frame, top + 2, nullptr);
        frame[returnWord] = (void *)begin;
        fibre.stack = frame;
        state.order[i] = schedule == Schedule::backward ? count - 1 - i : i;
    }
    for (size_t w = 0; w < state.warps.size(); w++) state.warps[w].barrier = {std::min(32, count - (int)w * 32), 0, 0};
    if (schedule == Schedule::shuffled) std::shuffle(state.order.begin(), state.order.end(), random);
    state.place = 0, state.fruitless = 0;
    change(&state.home, &state.fibres[state.order[0]]);
    return !state.isStuck;
}
}  // namespace emulator

using namespace emulator;

int emulator_launch(
    const char *name, const unsigned size[3], unsigned threadCount, size_t shared, void **arguments, int schedule) {
    auto found = kernels().find(name);
    if (found == kernels().end()) return 1;
    if (threadCount == 0 || (int)threadCount > found->second.threads) return 2;
    Schedule how = (Schedule)schedule;
    grid = {size[0], size[1], size[2]};
    threads = {threadCount, 1, 1};
    state.entry = found->second.entry, state.arguments = arguments, state.isStuck = false;
    state.isGreedy = how == Schedule::greedy;
    copiesComeEarly = how == Schedule::backward || how == Schedule::greedy;
    state.fibres.resize(threadCount), state.warps.resize((threadCount + 31) / 32), state.order.resize(threadCount);
    std::vector<unsigned char> memory(shared + 128);
    sharedMemory = (unsigned char *)(((uintptr_t)memory.data() + 127) & ~(uintptr_t)127);
    std::mt19937 random(7);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                block = {x, y, z};
                memset(sharedMemory, 0xff, shared);  // NaN to whoever reads what nobody wrote
                if (!runBlock(how, random)) return 3;
            }
    return 0;
}
