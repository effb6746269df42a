// The words that kernels are written in, for two worlds: NVRTC, for a GPU, and a C++ compiler, for the emulator
// (emulator.h). Kernel files use no other intrinsic.
#pragma once
#ifdef __CUDACC__
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define DEVICE __device__ __forceinline__
// A kernel, its number of threads in a block, its parameters.
#define KERNEL(threads, name, ...) extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)
// The same, of which this many blocks fit a multiprocessor: how many registers it may have.
#define DENSE_KERNEL(threads, blocks, name, ...) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
// The block's shared memory, as much as the launch asks for.
extern __shared__ __align__(16) unsigned char shared_bytes[];
#define SHARED(type, name) type *name = (type *)shared_bytes
#define INFINITE __int_as_float(0x7f800000)

struct bf16 { u16 bits; };
DEVICE float bits_as_float(u32 bits) { return __uint_as_float(bits); }
DEVICE u32 pack_bf16(float low, float high) {
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}
// 2^x to two units in the last place; what float32 holds only as a denormal is 0.
DEVICE float power2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __syncwarp(); }
DEVICE float shuffle_xor(float x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
DEVICE double shuffle_xor(double x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
DEVICE float shuffle(float x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }

// 16 bytes to shared memory, there after a copy_wait by this thread and a barrier.
DEVICE void copy16_async(void *shared, const void *global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(shared)), "l"(global)
                 : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most `pending` of this thread's committed groups are under way.
template <int pending> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }

// d [16,8] += a [16,16] b [16,8] by a warp: bf16 operands, fp32 sums; PTX's fragments of m16n8k16.
DEVICE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// Four 8 x 8 matrices from shared memory; lane l gives the address of row l % 8 of matrix l / 8.
DEVICE void load_matrices(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((u32)__cvta_generic_to_shared(row))
                 : "memory");
}
DEVICE void load_matrices_transposed(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((u32)__cvta_generic_to_shared(row))
                 : "memory");
}
struct alignas(16) Word4 { u32 x, y, z, w; };
#define UNROLL _Pragma("unroll")
#define PRAGMA(words) _Pragma(#words)
#define UNROLL_BY(times) PRAGMA(unroll times)
#else
#include "emulator.h"
#endif

// Below: the same text for both worlds.

DEVICE int min(int a, int b) { return a < b ? a : b; }

DEVICE float as_float(bf16 x) { return bits_as_float((u32)x.bits << 16); }
DEVICE bf16 as_bf16(float x) { return {(u16)pack_bf16(x, 0.f)}; }
DEVICE float low_float(u32 x) { return bits_as_float(x << 16); }
DEVICE float high_float(u32 x) { return bits_as_float(x & 0xffff0000u); }

DEVICE float read(const float *p) { return *p; }
DEVICE float read(const bf16 *p) { return as_float(*p); }
DEVICE void write(float *p, float x) { *p = x; }
DEVICE void write(bf16 *p, float x) { *p = as_bf16(x); }

// Eight values at once, from an address that `is_aligned`.
DEVICE void read8(const bf16 *p, float (&v)[8]) {
    Word4 w = *(const Word4 *)p;
    v[0] = low_float(w.x), v[1] = high_float(w.x), v[2] = low_float(w.y), v[3] = high_float(w.y);
    v[4] = low_float(w.z), v[5] = high_float(w.z), v[6] = low_float(w.w), v[7] = high_float(w.w);
}
DEVICE void read8(const float *p, float (&v)[8]) {
    Word4 a = ((const Word4 *)p)[0], b = ((const Word4 *)p)[1];
    v[0] = bits_as_float(a.x), v[1] = bits_as_float(a.y), v[2] = bits_as_float(a.z), v[3] = bits_as_float(a.w);
    v[4] = bits_as_float(b.x), v[5] = bits_as_float(b.y), v[6] = bits_as_float(b.z), v[7] = bits_as_float(b.w);
}
DEVICE void write8(bf16 *p, const float (&v)[8]) {
    *(Word4 *)p = {pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7])};
}
struct alignas(16) Float4 { float x, y, z, w; };
DEVICE void write8(float *p, const float (&v)[8]) {
    ((Float4 *)p)[0] = {v[0], v[1], v[2], v[3]};
    ((Float4 *)p)[1] = {v[4], v[5], v[6], v[7]};
}
DEVICE bool is_aligned(const void *p) { return ((u64)p & 15) == 0; }

// The same sum in every lane, its terms in a fixed order.
template <class T> DEVICE T sum_warp(T x) {
    for (int lanes = 16; lanes; lanes >>= 1) x += shuffle_xor(x, lanes);
    return x;
}
DEVICE float max_warp(float x) {
    for (int lanes = 16; lanes; lanes >>= 1) x = fmaxf(x, shuffle_xor(x, lanes));
    return x;
}
// The sum over a block of `warps` warps, in every thread; `scratch` holds one value a warp and may be used again at once.
template <int warps, class T> DEVICE T sum_block(T x, T *scratch) {
    x = sum_warp(x);
    if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = x;
    sync_block();
    T sum = scratch[0];
    for (int w = 1; w < warps; w++) sum += scratch[w];
    sync_block();
    return sum;
}
