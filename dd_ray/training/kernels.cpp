// Convolutions of one trial on a CPU, for `cpu_kernels.py`, which says what they compute.
//
// With wide images x, narrow images y, a kernel w of stride s and padding p,
//     T(x, y, w) = sum over n, o, i, a, b, u, v of  w[u, v, i, o] x[n, s a + u - p, s b + v - p, i] y[n, a, b, o]
// `convolve` computes dT/dy or, transposed, dT/dx, adds a bias and applies an activation; `correlate` computes dT/dw;
// `activated` goes back through an activation.
//
// Images are [N, height, width, channels]. A tile of sums stays in registers: PIXELS images at one place times two
// vectors of channels, or ROWS inputs of a kernel times two vectors of its outputs. All pixels of a tile are at the
// same place of their images, so what lies outside of them is never multiplied. The order of each sum follows from
// shapes and the width of vectors alone, and not from the number of threads.
//
// This file includes itself once for each width of vectors, of which the widest is taken that the CPU has.
#ifndef LANES
#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__)
#error "These kernels are for x86-64, compiled by GCC; PyTorch's own are used elsewhere."
#endif
#include <atomic>
#include <cstdint>
#include <vector>

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {

using Count = std::int64_t;

struct Shape {
    Count images, wide[3], narrow[3], size[2], stride[2], padding[2];  // wide and narrow: height, width, channels
};
struct Tap {
    Count source, kernel;  // where a tap of a kernel reads, in floats
};
enum Activation { LINEAR, RELU, ELU };

constexpr Count MOST_TAPS = 256;
constexpr Count SHARES = 8;      // of the images or pixels that are summed over, whatever the number of threads
constexpr Count RUN = 128;       // about so many pixels are summed up before the sum is added to that of a share
constexpr Count FEW = 4;         // so few channels are computed as sums over vectors, and not as vectors of sums

INLINE Count least(Count a, Count b) { return a < b ? a : b; }
INLINE Count most(Count a, Count b) { return a < b ? b : a; }
INLINE Count parts(Count count, Count size) { return (count + size - 1) / size; }

// Work is shared among the threads of the OpenMP that PyTorch has loaded, by its GOMP_parallel, if there is one.
struct Threads {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
    Count count;
};
template <class Work> struct Crew {
    const Work& work;
    Count count;
    std::atomic<Count> next;
    static void take(void* given) {
        auto& crew = *static_cast<Crew*>(given);
        for (Count i; (i = crew.next++) < crew.count;) crew.work(i);
    }
};
template <class Work> void share(const Threads& threads, Count count, const Work& work) {
    Crew<Work> crew{work, count, {0}};
    if (threads.parallel == nullptr || threads.count < 2 || count < 2) crew.take(&crew);
    else threads.parallel(crew.take, &crew, unsigned(threads.count), 0);
}

}  // namespace

#define LANES 8
#define PIXELS 6
#define ROWS 6
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "kernels.cpp"
}
#pragma GCC pop_options
#undef LANES
#undef PIXELS
#undef ROWS

#define LANES 16
#define PIXELS 8
#define ROWS 8
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
namespace avx512 {
#include "kernels.cpp"
}
#pragma GCC pop_options

namespace {

using Floats = std::vector<float>;

// A matrix [rows, columns] as blocks of `width` columns, [blocks, rows, width], with zeros after the last column.
Floats in_blocks(const float* matrix, Count rows, Count columns, Count width) {
    Floats blocks(parts(columns, width) * rows * width);
    for (Count r = 0; r < rows; r++)
        for (Count c = 0; c < columns; c++)
            blocks[(c / width * rows + r) * width + c % width] = matrix[r * columns + c];
    return blocks;
}

}  // namespace

extern "C" {

// Number of floats in the widest vectors that this CPU has; 0 if these kernels cannot run on it.
int dd_ray_lanes() {
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool fma = __builtin_cpu_supports("fma");
    return wide && fma ? 16 : __builtin_cpu_supports("avx2") && fma ? 8 : 0;
}

// target = activation(convolution of source with kernels [taps, source channels, target channels] + bias).
void dd_ray_convolve(const Shape* shape, int transposed, const float* source, const float* kernels, const float* bias,
                     int activation, float* target, const Threads* threads) {
    const Count *from = transposed ? shape->narrow : shape->wide, *to = transposed ? shape->wide : shape->narrow;
    const Count lanes = dd_ray_lanes(), width = to[2] <= FEW && from[2] % lanes == 0 ? 1 : 2 * lanes;
    const Floats blocks = in_blocks(kernels, shape->size[0] * shape->size[1] * from[2], to[2], width);
    const Floats none(to[2]), biases = in_blocks(bias ? bias : none.data(), 1, to[2], width);
    (lanes == 16 ? avx512::convolve : avx2::convolve)(*shape, transposed, source, blocks.data(), width, biases.data(),
                                                      Activation(activation), target, *threads);
}

// kernels [taps, I, O] = dT/dw.
void dd_ray_correlate(const Shape* shape, const float* wide, const float* narrow, float* kernels,
                      const Threads* threads) {
    const Count lanes = dd_ray_lanes(), outputs = shape->narrow[2], step = parts(outputs, lanes) * lanes;
    const Count rows = shape->size[0] * shape->size[1] * shape->wide[2];
    Shape even = *shape;
    even.narrow[2] = step;
    Floats copy;
    if (step != outputs) {
        copy = in_blocks(narrow, shape->images * shape->narrow[0] * shape->narrow[1], outputs, step);
        narrow = copy.data();
    }
    Floats sums(SHARES * rows * step);
    (lanes == 16 ? avx512::correlate : avx2::correlate)(even, wide, narrow, sums.data(), *threads);
    for (Count r = 0; r < rows; r++)
        for (Count o = 0; o < outputs; o++) {
            float sum = 0;
            for (Count i = 0; i < SHARES; i++) sum += sums[(i * rows + r) * step + o];
            kernels[r * outputs + o] = sum;
        }
}

// With images [pixels, channels] = activation(z): gradients by z of a loss from its gradients by the images, in
// `target`, and their sum over pixels in `sums` [channels].
void dd_ray_activated(Count pixels, Count channels, int activation, const float* gradients, const float* images,
                      float* target, float* sums, const Threads* threads) {
    std::vector<double> by_share(SHARES * channels);
    (dd_ray_lanes() == 16 ? avx512::activated : avx2::activated)(pixels, channels, Activation(activation), gradients,
                                                                 images, target, by_share.data(), *threads);
    for (Count c = 0; c < channels; c++) {
        double sum = 0;
        for (Count i = 0; i < SHARES; i++) sum += by_share[i * channels + c];
        sums[c] = float(sum);
    }
}

}  // extern "C"

#else  // what follows is compiled for each width of vectors

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef std::int32_t Bits __attribute__((vector_size(4 * LANES)));

INLINE Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
INLINE void store(float* to, Vector x) { *reinterpret_cast<Vector*>(to) = x; }
INLINE Vector all(float x) { return x - Vector{}; }

// exp(x) - 1 for x <= 0, as 2^n (1 + q) - 1, with q = exp(r) - 1, |r| <= ln(2) / 2. The polynomial is that of expf in
// Cephes (S. Moshier), whose error is below one unit in the last place of exp(r).
INLINE Vector exp_minus_1(Vector x) {
    x = x < -87 ? all(-87) : x;
    const Vector shifted = x * 1.44269504088896341f + 12582912.f;  // its last bits are n, the nearest integer
    const Vector n = shifted - 12582912.f;
    const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Vector q = all(1.9875691500e-4f);
    q = q * r + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    q = q * r * r + r;
    const Vector power = (Vector)(((Bits)shifted << 23) + 0x3f800000);
    return power * q + (power - 1);
}

INLINE Vector activate(Vector x, Activation activation) {  // what is NaN stays NaN
    if (activation == RELU) return x < 0 ? Vector{} : x;
    if (activation == ELU) return x < 0 ? exp_minus_1(x) : x;
    return x;
}

// The taps that a pixel of the target is computed from: where they read in an image of the source, and in the kernels,
// whose taps are `step` floats apart.
inline Count taps_of(const Shape& s, bool transposed, Count row, Count column, Count step, Tap* taps) {
    const Count* from = transposed ? s.narrow : s.wide;
    Count count = 0;
    for (Count u = 0; u < s.size[0]; u++)
        for (Count v = 0; v < s.size[1]; v++) {
            Count at[2] = {row, column}, tap[2] = {u, v};
            bool inside = true;
            for (int d = 0; d < 2; d++) {
                if (transposed) {
                    at[d] += s.padding[d] - tap[d];
                    inside &= at[d] % s.stride[d] == 0;
                    at[d] /= s.stride[d];
                } else at[d] = at[d] * s.stride[d] + tap[d] - s.padding[d];
                inside &= 0 <= at[d] && at[d] < from[d];
            }
            if (inside) taps[count++] = {(at[0] * from[1] + at[1]) * from[2], (u * s.size[1] + v) * step};
        }
    return count;
}

// P images at one place, V vectors of channels of each; `channels` of them are stored.
template <int P, int V>
void tile(const float* source, Count stride, Count depth, const Tap* taps, Count count, const float* kernels,
          const float* bias, Activation activation, float* target, Count target_stride, Count channels) {
    Vector sum[P][V];
    UNROLL for (int p = 0; p < P; p++)
        UNROLL for (int v = 0; v < V; v++) sum[p][v] = load(bias + v * LANES);
    for (Count k = 0; k < count; k++) {
        const float *x = source + taps[k].source, *w = kernels + taps[k].kernel;
        for (Count i = 0; i < depth; i++, x++, w += 2 * LANES) {
            Vector weight[V];
            UNROLL for (int v = 0; v < V; v++) weight[v] = load(w + v * LANES);
            UNROLL for (int p = 0; p < P; p++) {
                const Vector pixel = all(x[p * stride]);
                UNROLL for (int v = 0; v < V; v++) sum[p][v] += pixel * weight[v];
            }
        }
    }
    UNROLL for (int p = 0; p < P; p++)
        UNROLL for (int v = 0; v < V; v++) {
            const Vector out = activate(sum[p][v], activation);
            float* to = target + p * target_stride + v * LANES;
            if ((v + 1) * LANES <= channels) store(to, out);
            else for (Count c = 0; c < channels - v * LANES; c++) to[c] = out[c];
        }
}

// Images from `begin` to `end` at one place, in tiles of P images and then of fewer.
template <int P, int V>
void tiles(Count begin, Count end, const float* source, Count stride, Count depth, const Tap* taps, Count count,
           const float* kernels, const float* bias, Activation activation, float* target, Count target_stride,
           Count channels) {
    for (; begin + P <= end; begin += P)
        tile<P, V>(source + begin * stride, stride, depth, taps, count, kernels, bias, activation,
                   target + begin * target_stride, target_stride, channels);
    if constexpr (P > 1)
        if (begin < end)
            tiles<P / 2, V>(begin, end, source, stride, depth, taps, count, kernels, bias, activation, target,
                            target_stride, channels);
}

// The sums of the lanes of so many vectors, one in each lane.
template <int N> INLINE Vector sums_of(Vector (&x)[N]) {
    Bits even, odd;
    UNROLL for (int l = 0; l < LANES; l++) {
        even[l] = 2 * l;
        odd[l] = 2 * l + 1;
    }
    UNROLL for (int n = LANES; n > 1; n /= 2)
        UNROLL for (int i = 0; i < n / 2; i++)
            x[i] = __builtin_shuffle(x[2 * i], x[2 * i + 1], even) + __builtin_shuffle(x[2 * i], x[2 * i + 1], odd);
    return x[0];
}

// One channel of up to LANES images at one place: products summed over the channels of the source. Images that there
// are not are read as the last one.
inline void dots(Count count_of_images, const float* source, Count stride, Count depth, const Tap* taps, Count count,
                 const float* kernels, float bias, Activation activation, float* target, Count target_stride) {
    Vector sum[LANES] = {};
    const float* images[LANES];
    for (int n = 0; n < LANES; n++) images[n] = source + least(n, count_of_images - 1) * stride;
    for (Count k = 0; k < count; k++) {
        const float* w = kernels + taps[k].kernel;
        for (Count i = 0; i < depth; i += LANES) {
            const Vector weight = load(w + i);
            UNROLL for (int n = 0; n < LANES; n++) sum[n] += load(images[n] + taps[k].source + i) * weight;
        }
    }
    const Vector out = activate(sums_of(sum) + bias, activation);
    for (Count n = 0; n < count_of_images; n++) target[n * target_stride] = out[n];
}

// The target in blocks of `width` channels, which the kernels are given in: a single one, or two vectors of them.
inline void convolve(const Shape& s, bool transposed, const float* source, const float* kernels, Count width,
                     const float* bias, Activation activation, float* target, const Threads& threads) {
    const Count *from = transposed ? s.narrow : s.wide, *to = transposed ? s.wide : s.narrow;
    const Count stride = from[0] * from[1] * from[2], target_stride = to[0] * to[1] * to[2], depth = from[2];
    const Count together = width == 1 ? LANES : PIXELS;
    share(threads, parts(s.images, together), [&](Count i) {
        const Count begin = i * together, end = least(s.images, begin + together);
        Tap taps[MOST_TAPS];
        for (Count c = 0; c < to[2]; c += width)
            for (Count pixel = 0; pixel < to[0] * to[1]; pixel++) {
                const Count count = taps_of(s, transposed, pixel / to[1], pixel % to[1], depth * width, taps);
                const float* block = kernels + c * s.size[0] * s.size[1] * depth;
                float* at = target + pixel * to[2] + c;
                if (width == 1)
                    dots(end - begin, source + begin * stride, stride, depth, taps, count, block, bias[c], activation,
                         at + begin * target_stride, target_stride);
                else
                    (to[2] - c > LANES ? tiles<PIXELS, 2> : tiles<PIXELS, 1>)(
                        begin, end, source, stride, depth, taps, count, block, bias + c, activation, at,
                        target_stride, to[2] - c);
            }
    });
}

// Adds to sums [R, V vectors] the products of R floats from x on with V vectors of narrow images, over a rectangle of
// pixels of images.
template <int R, int V>
void product(const Shape& s, Count images, Count rows, Count columns, const float* x, const float* y, float* sums) {
    const Count x_column = s.stride[1] * s.wide[2], x_row = s.stride[0] * s.wide[1] * s.wide[2];
    const Count x_image = s.wide[0] * s.wide[1] * s.wide[2], y_row = s.narrow[1] * s.narrow[2];
    Vector sum[R][V] = {};
    for (Count n = 0; n < images; n++)
        for (Count a = 0; a < rows; a++) {
            const float *in = x + n * x_image + a * x_row, *out = y + (n * s.narrow[0] + a) * y_row;
            for (Count b = 0; b < columns; b++, in += x_column, out += s.narrow[2]) {
                Vector narrow[V];
                UNROLL for (int v = 0; v < V; v++) narrow[v] = load(out + v * LANES);
                UNROLL for (int r = 0; r < R; r++) {
                    const Vector wide = all(in[r]);
                    UNROLL for (int v = 0; v < V; v++) sum[r][v] += wide * narrow[v];
                }
            }
        }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) {
            float* to = sums + r * s.narrow[2] + v * LANES;
            store(to, load(to) + sum[r][v]);
        }
}

template <int R, int V>
void products(const Shape& s, Count inputs, Count images, Count rows, Count columns, const float* x, const float* y,
              float* sums) {
    for (; inputs >= R; inputs -= R, x += R, sums += R * s.narrow[2])
        product<R, V>(s, images, rows, columns, x, y, sums);
    if constexpr (R > 1)
        if (inputs > 0) products<R / 2, V>(s, inputs, images, rows, columns, x, y, sums);
}

// The taps from first to last of an axis that read inside of the wide images at a place of the narrow ones.
INLINE void inside(const Shape& s, int axis, Count at, Count& first, Count& last) {
    const Count begin = at * s.stride[axis] - s.padding[axis];
    first = most(0, -begin);
    last = least(s.size[axis], s.wide[axis] - begin);
}

// Adds dT/dw of some images to sums [taps, I, O]. Taps of one row of a kernel lie beside each other, in the kernel as
// in the images, and are multiplied together; columns that have the same of them form a rectangle.
inline void correlate_images(const Shape& s, Count images, const float* wide, const float* narrow, float* sums) {
    const Count pixel = s.wide[2], outputs = s.narrow[2];
    for (Count u = 0; u < s.size[0]; u++) {
        const Count top = most(0, parts(s.padding[0] - u, s.stride[0]));
        const Count bottom = least(s.narrow[0], (s.wide[0] - 1 + s.padding[0] - u + s.stride[0]) / s.stride[0]);
        for (Count b = 0, next; b < s.narrow[1] && top < bottom; b = next) {
            Count first, last, other_first, other_last;
            inside(s, 1, b, first, last);
            for (next = b + 1; next < s.narrow[1]; next++) {
                inside(s, 1, next, other_first, other_last);
                if (other_first != first || other_last != last) break;
            }
            const Count row = top * s.stride[0] + u - s.padding[0];
            const Count column = b * s.stride[1] + first - s.padding[1];
            const float* x = wide + (row * s.wide[1] + column) * pixel;
            const float* y = narrow + (top * s.narrow[1] + b) * outputs;
            float* to = sums + (u * s.size[1] + first) * pixel * outputs;
            for (Count o = 0; o < outputs; o += 2 * LANES)
                (outputs - o > LANES ? products<ROWS, 2> : products<ROWS, 1>)(
                    s, (last - first) * pixel, images, bottom - top, next - b, x, y + o, to + o);
        }
    }
}

inline void correlate(const Shape& s, const float* wide, const float* narrow, float* sums, const Threads& threads) {
    const Count of_wide = s.wide[0] * s.wide[1] * s.wide[2], of_narrow = s.narrow[0] * s.narrow[1] * s.narrow[2];
    const Count of_kernels = s.size[0] * s.size[1] * s.wide[2] * s.narrow[2];
    const Count together = most(1, RUN / (s.narrow[0] * s.narrow[1]));
    share(threads, SHARES, [&](Count i) {
        const Count last = s.images * (i + 1) / SHARES;
        for (Count n = s.images * i / SHARES; n < last; n += together)
            correlate_images(s, least(together, last - n), wide + n * of_wide, narrow + n * of_narrow,
                             sums + i * of_kernels);
    });
}

inline void activated(Count pixels, Count channels, Activation activation, const float* gradients, const float* images,
                      float* target, double* sums, const Threads& threads) {
    share(threads, SHARES, [&](Count i) {
        double* total = sums + i * channels;
        const Count last = pixels * (i + 1) / SHARES;
        for (Count begin = pixels * i / SHARES; begin < last; begin += RUN) {
            const Count end = least(last, begin + RUN);
            for (Count c = 0; c < channels; c += LANES) {
                const Count lanes = least(LANES, channels - c);
                Vector sum = {};
                for (Count p = begin; p < end; p++) {
                    const Count at = p * channels + c;
                    Vector gradient = {}, image = {};
                    if (lanes == LANES) gradient = load(gradients + at), image = load(images + at);
                    else for (Count l = 0; l < lanes; l++) gradient[l] = gradients[at + l], image[l] = images[at + l];
                    if (activation == RELU) gradient = image <= 0 ? Vector{} : gradient;
                    if (activation == ELU) gradient = image <= 0 ? gradient * (image + 1) : gradient;
                    sum += gradient;
                    if (lanes == LANES) store(target + at, gradient);
                    else for (Count l = 0; l < lanes; l++) target[at + l] = gradient[l];
                }
                for (Count l = 0; l < lanes; l++) total[c + l] += sum[l];
            }
        }
    });
}
#endif
