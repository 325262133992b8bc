// Convolutions of one trial on a CPU, for `cpu_kernels.py`, which says what they compute.
//
// With wide images x, narrow images y, a kernel w of stride s and padding p,
//     T(x, y, w) = sum over n, o, i, a, b, u, v of  w[u, v, i, o] x[n, s a + u - p, s b + v - p, i] y[n, a, b, o]
// `convolve` computes dT/dy or, transposed, dT/dx, adds a bias and applies an activation or goes back through one;
// `correlate` computes dT/dw.
//
// Images are [N, height, width, channels]. A tile of sums stays in registers: TALL images at one place times two
// vectors of channels, or TALL inputs of a kernel times two vectors of its outputs. All pixels of a tile are at the
// same place of their images, so what lies outside of them is never multiplied. The order of each sum follows from
// shapes and the width of vectors alone, and not from the number of threads.
//
// This file includes itself once for each width of vectors, of which the widest is taken that the CPU has.
#ifndef LANES
#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__)
#error "These kernels are for x86-64, compiled by GCC; PyTorch's own are used elsewhere."
#endif
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {
using Count = std::int64_t;
using Floats = std::vector<float>;

struct Shape {
    Count images, wide[3], narrow[3], size[2], stride[2], padding[2];  // wide and narrow: height, width, channels
};
struct Taps {
    Count source, kernel, length;  // taps that lie beside each other: where they read, and how much, in floats
};
enum Activation { LINEAR, RELU, ELU };
struct Place {  // a pixel of the target's images, some of its channels, and what they are computed from
    const float* source;
    Count source_stride;  // from image to image
    const Taps* taps;
    Count num_taps;
    const float *kernels, *bias;
    Activation activation;
    const float* images;  // if there are any, activated: the target is a gradient by what they were before
    float *target, *sums;  // sums, if they are asked for, are of the target's channels
    Count target_stride, channels;
};

constexpr Count MOST_TAPS = 256;
constexpr Count SHARES = 8;      // at most, of the images that are summed over, whatever the number of threads
constexpr Count RUN = 128;       // about so many pixels are summed up before the sum is added to that of a share
constexpr Count FEW = 4;         // so few channels are computed as sums over vectors, and not as vectors of sums
constexpr Count FEW_PIXELS = 4;  // of so many the target is summed up in floats

INLINE Count parts(Count count, Count size) { return (count + size - 1) / size; }

// Kernels [T, S, taps], or [S, T, taps] if sources come first, as blocks [parts of T, taps, S, width], with zeros at
// the end.
Floats in_blocks(const float* kernels, Count taps, Count sources, Count targets, bool sources_first, Count width) {
    Floats blocks(parts(targets, width) * taps * sources * width);
    const Count apart = sources_first ? taps : sources * taps;
    float* to = blocks.data();
    for (Count c = 0; c < targets; c += width)
        for (Count k = 0; k < taps; k++)
            for (Count i = 0; i < sources; i++, to += width) {
                const float* from = kernels + (sources_first ? i * targets + c : c * sources + i) * taps + k;
                for (Count t = 0; t < std::min(width, targets - c); t++) to[t] = from[t * apart];
            }
    return blocks;
}

// Work is shared among the threads of the OpenMP that PyTorch has loaded, by its GOMP_parallel, if there is one.
struct Threads {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
    Count count;
};
template <class Work> void share(const Threads& threads, Count count, const Work& work) {
    std::atomic<Count> next = {0};
    auto take = [&] {
        for (Count i; (i = next++) < count;) work(i);
    };
    if (threads.parallel == nullptr || threads.count < 2 || count < 2) return take();
    threads.parallel([](void* given) { (*static_cast<decltype(take)*>(given))(); }, &take, unsigned(threads.count), 0);
}

}  // namespace

#define LANES 8
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "kernels.cpp"
}
#pragma GCC pop_options
#undef LANES
#define LANES 16
#pragma GCC push_options
#pragma GCC target("avx512f,fma")
namespace avx512 {
#include "kernels.cpp"
}
#pragma GCC pop_options

extern "C" {

// Number of floats in the widest vectors that this CPU has; 0 if these kernels cannot run on it.
int dd_ray_lanes() {
    const bool narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return narrow ? __builtin_cpu_supports("avx512f") ? 16 : 8 : 0;
}

// target = activation(z), with z = convolution of source with kernels [O, I, taps] + bias; or where `images` =
// activation(y) are given, and z is a loss' gradient by them, its gradient by y. `sums`, if given, are those of the
// target over images and pixels.
void dd_ray_convolve(const Shape* shape, int transposed, const float* source, const float* kernels, const float* bias,
                     int activation, const float* images, float* target, float* sums, const Threads* threads) {
    const Count *from = transposed ? shape->narrow : shape->wide, *to = transposed ? shape->wide : shape->narrow;
    const Count lanes = dd_ray_lanes(), width = to[2] <= FEW && from[2] % lanes == 0 ? 1 : 2 * lanes;
    const Floats blocks = in_blocks(kernels, shape->size[0] * shape->size[1], from[2], to[2], transposed, width);
    const Floats none(to[2]), biases = in_blocks(bias ? bias : none.data(), 1, 1, to[2], true, width);
    (lanes == 16 ? avx512::convolve : avx2::convolve)(*shape, transposed, source, blocks.data(), width, biases.data(),
                                                      Activation(activation), images, target, sums, *threads);
}

// kernels [O, I, taps] = dT/dw.
void dd_ray_correlate(const Shape* shape, const float* wide, const float* narrow, float* kernels,
                      const Threads* threads) {
    const Count lanes = dd_ray_lanes(), outputs = shape->narrow[2], step = parts(outputs, lanes) * lanes;
    const Count inputs = shape->wide[2], taps = shape->size[0] * shape->size[1], rows = taps * inputs;
    const Count pixels = shape->images * shape->narrow[0] * shape->narrow[1];
    const Count shares = std::clamp<Count>(pixels / RUN, 1, SHARES);
    Shape even = *shape;
    even.narrow[2] = step;
    Floats copy, sums(shares * rows * step);
    if (step != outputs) narrow = (copy = in_blocks(narrow, 1, pixels, outputs, true, step)).data();
    (lanes == 16 ? avx512::correlate : avx2::correlate)(even, wide, narrow, sums.data(), shares, *threads);
    for (Count s = 1; s < shares; s++)
        for (Count i = 0; i < rows * step; i++) sums[i] += sums[s * rows * step + i];
    for (Count r = 0; r < rows; r++)
        for (Count o = 0; o < outputs; o++) kernels[o * rows + r] = sums[(r % taps * inputs + r / taps) * step + o];
}

}  // extern "C"

#else  // what follows is compiled for each width of vectors

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef std::int32_t Bits __attribute__((vector_size(4 * LANES)));
constexpr int TALL = LANES == 8 ? 6 : 8;  // rows of a tile of sums: pixels, or inputs of a kernel

INLINE Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
INLINE void store(float* to, Vector x) { *reinterpret_cast<Vector*>(to) = x; }
INLINE void add(float* to, Vector x) { store(to, load(to) + x); }
INLINE Vector all(float x) { return x - Vector{}; }

// exp(x) - 1 for x <= 0, as 2^n (1 + q) - 1, with q = exp(r) - 1, |r| <= ln(2) / 2. The polynomial is that of expf in
// Cephes (S. Moshier), whose error is below one unit in the last place of exp(r).
INLINE Vector exp_minus_1(Vector x) {
    x = x < -87 ? all(-87) : x;
    const Vector shifted = x * 1.44269504088896341f + 12582912.f;  // its last bits are n, the nearest integer
    const Vector n = shifted - 12582912.f;
    const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Vector q = all(1.9875691500e-4f);
    constexpr float rest[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    UNROLL for (const float c : rest) q = q * r + c;
    q = q * r * r + r;
    const Vector power = (Vector)(((Bits)shifted << 23) + 0x3f800000);
    return power * q + (power - 1);
}

INLINE Vector activate(Vector x, Activation activation) {  // what is NaN stays NaN
    if (activation == RELU) return x < 0 ? Vector{} : x;
    if (activation == ELU) return x < 0 ? exp_minus_1(x) : x;
    return x;
}
INLINE Vector before_activation(Vector gradient, Vector images, Activation activation) {
    if (activation == RELU) return images <= 0 ? Vector{} : gradient;
    if (activation == ELU) return images <= 0 ? gradient * (images + 1) : gradient;
    return gradient;
}

// The taps along an axis that a pixel of the target is computed from, and the pixels of the source that they read.
INLINE Count along(const Shape& s, bool transposed, int axis, Count at, Count* taps, Count* pixels) {
    const Count begin = transposed ? at + s.padding[axis] : at * s.stride[axis] - s.padding[axis];
    const Count end = transposed ? s.narrow[axis] : s.wide[axis], step = transposed ? s.stride[axis] : 1;
    Count tap = transposed ? begin % step : 0, pixel = transposed ? begin / step : begin, count = 0;
    for (; tap < s.size[axis]; tap += step, pixel += transposed ? -1 : 1)
        if (0 <= pixel && pixel < end) taps[count] = tap, pixels[count++] = pixel;
    return count;
}

// The same along both axes; places are in an image of the source, and in a kernel with `width` targets.
inline Count taps_of(const Shape& s, bool transposed, Count row, Count column, Count width, Taps* taps) {
    const Count columns = transposed ? s.narrow[1] : s.wide[1], depth = transposed ? s.narrow[2] : s.wide[2];
    Count u[MOST_TAPS], v[MOST_TAPS], a[MOST_TAPS], b[MOST_TAPS], count = 0;
    const Count num_u = along(s, transposed, 0, row, u, a), num_v = along(s, transposed, 1, column, v, b);
    for (Count i = 0; i < num_u; i++)
        for (Count j = 0; j < num_v; j++) {
            const Taps next = {(a[i] * columns + b[j]) * depth, (u[i] * s.size[1] + v[j]) * depth * width, depth};
            Taps* last = taps + count - 1;
            const Count length = count ? last->length : 0;
            if (length && next.source == last->source + length && next.kernel == last->kernel + length * width)
                last->length += depth;
            else taps[count++] = next;
        }
    return count;
}

// What becomes of a tile of sums: taken through an activation or, if images are given, back through it.
template <Activation A, int P, int V>
INLINE void finish(const Vector (&sum)[P][V], const float* images, float* target, Count stride, float* sums) {
    Vector total[V] = {};
    UNROLL for (int p = 0; p < P; p++)
        UNROLL for (int v = 0; v < V; v++) {
            const Count place = p * stride + v * LANES;
            const Vector x = images ? before_activation(sum[p][v], load(images + place), A) : activate(sum[p][v], A);
            store(target + place, x);
            total[v] += x;
        }
    UNROLL for (int v = 0; sums && v < V; v++) add(sums + v * LANES, total[v]);
}

// Adds to a tile the products of R numbers, some floats apart, with V vectors.
template <int R, int V> INLINE void add_products(Vector (&sum)[R][V], const float* x, Count apart, const float* y) {
    Vector vectors[V];
    UNROLL for (int v = 0; v < V; v++) vectors[v] = load(y + v * LANES);
    UNROLL for (int r = 0; r < R; r++) {
        const Vector number = all(x[r * apart]);
        UNROLL for (int v = 0; v < V; v++) sum[r][v] += number * vectors[v];
    }
}

// P images from `image` on, V vectors of channels of each.
template <int P, int V> void tile(const Place& at, Count image) {
    const Count stride = at.source_stride, width = V * LANES, count = std::min(at.channels, width);
    Vector sum[P][V];
    UNROLL for (int p = 0; p < P; p++)
        UNROLL for (int v = 0; v < V; v++) sum[p][v] = load(at.bias + v * LANES);
    for (Count k = 0; k < at.num_taps; k++) {
        const float *x = at.source + image * stride + at.taps[k].source, *w = at.kernels + at.taps[k].kernel;
        for (Count i = 0; i < at.taps[k].length; i++, x++, w += 2 * LANES) add_products(sum, x, stride, w);
    }
    float room[2][P * V * LANES];
    const bool whole = count == width;
    if (!whole) std::fill_n(room[0], P * width, 0.f);
    const Count place = image * at.target_stride, apart = whole ? at.target_stride : width;
    for (Count p = 0; !whole && at.images && p < P; p++)
        std::copy_n(at.images + place + p * at.target_stride, count, room[0] + p * width);
    const float* images = !at.images ? nullptr : whole ? at.images + place : room[0];
    float* target = whole ? at.target + place : room[1];
    if (at.activation == LINEAR) finish<LINEAR>(sum, images, target, apart, at.sums);
    if (at.activation == RELU) finish<RELU>(sum, images, target, apart, at.sums);
    if (at.activation == ELU) finish<ELU>(sum, images, target, apart, at.sums);
    for (Count p = 0; !whole && p < P; p++)
        std::copy_n(room[1] + p * width, count, at.target + place + p * at.target_stride);
}

// Images from `begin` to `end`, in tiles of P images and a last one of fewer.
template <int P, int V> void tiles(const Place& at, Count begin, Count end) {
    for (; begin + P <= end; begin += P) tile<P, V>(at, begin);
    if constexpr (P > 1)
        if (begin < end) tiles<P - 1, V>(at, begin, end);
}

// The sums of the lanes of N vectors, one in each lane: first of the lanes within fours, then of fours.
template <int N> INLINE Vector sums_of(const Vector* x) {
    constexpr int HALF = LANES / 2, WITHIN = N > LANES / 4;
    Vector sums[N / 2];
    Bits even, odd;
    UNROLL for (int l = 0; l < LANES; l++) {
        even[l] = WITHIN ? l / 4 * 4 + l % 2 * 2 + l % 4 / 2 * LANES : l % 4 + l % HALF / 4 * 8 + l / HALF * LANES;
        odd[l] = even[l] + (WITHIN ? 1 : 4);
    }
    UNROLL for (int i = 0; i < N / 2; i++)
        sums[i] = __builtin_shuffle(x[2 * i], x[2 * i + 1], even) + __builtin_shuffle(x[2 * i], x[2 * i + 1], odd);
    if constexpr (N == 2) return sums[0];
    else return sums_of<N / 2>(sums);
}

// One channel of up to LANES images: products summed over the channels of the source. Where there are fewer images, the
// last one is read again.
inline void dots(const Place& at, Count begin, Count end) {
    Vector sum[LANES] = {};
    const float* images[LANES];
    for (int n = 0; n < LANES; n++) images[n] = at.source + std::min(begin + n, end - 1) * at.source_stride;
    for (Count k = 0; k < at.num_taps; k++)
        for (Count i = 0; i < at.taps[k].length; i += LANES) {
            const Vector weight = load(at.kernels + at.taps[k].kernel + i);
            UNROLL for (int n = 0; n < LANES; n++) sum[n] += load(images[n] + at.taps[k].source + i) * weight;
        }
    Vector out = sums_of<LANES>(sum) + *at.bias, given = {};
    for (Count n = begin; n < end && at.images; n++) given[n - begin] = at.images[n * at.target_stride];
    out = at.images ? before_activation(out, given, at.activation) : activate(out, at.activation);
    for (Count n = begin; n < end; n++) at.target[n * at.target_stride] = out[n - begin];
    for (Count n = begin; n < end && at.sums; n++) *at.sums += out[n - begin];
}

// The target in blocks of `width` channels, in which the kernels are given: a single one, or two vectors of them. Its
// sums are those of a few pixels of the images of a share, in floats, added up in doubles.
inline void convolve(const Shape& s, bool transposed, const float* source, const float* kernels, Count width,
                     const float* bias, Activation activation, const float* images, float* target, float* sums,
                     const Threads& threads) {
    const Count *from = transposed ? s.narrow : s.wide, *to = transposed ? s.wide : s.narrow;
    const Count together = width == 1 ? LANES : TALL, each = s.size[0] * s.size[1], pixels = to[0] * to[1];
    const Count shares = parts(s.images, together), padded = parts(to[2], width) * width;
    const std::unique_ptr<Taps[]> taps(new Taps[pixels * each]);
    std::vector<Count> counts(pixels);
    for (Count p = 0; p < pixels; p++)
        counts[p] = taps_of(s, transposed, p / to[1], p % to[1], width, &taps[p * each]);
    std::vector<double> totals(shares * padded);
    share(threads, shares, [&](Count i) {
        const Count begin = i * together, end = std::min(s.images, begin + together);
        for (Count c = 0; c < to[2]; c += width) {
            float few[2 * LANES] = {};
            for (Count p = 0; p < pixels; p++) {
                const Count place = p * to[2] + c;
                const Place at = {source, from[0] * from[1] * from[2], &taps[p * each], counts[p],
                                  kernels + c * each * from[2], bias + c, activation, images ? images + place : nullptr,
                                  target + place, sums ? few : nullptr, pixels * to[2], to[2] - c};
                (width == 1 ? dots : at.channels > LANES ? tiles<TALL, 2> : tiles<TALL, 1>)(at, begin, end);
                if (sums && (p % FEW_PIXELS == FEW_PIXELS - 1 || p == pixels - 1))
                    for (Count l = 0; l < width; l++) totals[i * padded + c + l] += few[l], few[l] = 0;
            }
        }
    });
    for (Count c = 0; sums && c < to[2]; c++) {
        double total = 0;
        for (Count i = 0; i < shares; i++) total += totals[i * padded + c];
        sums[c] = float(total);
    }
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
            for (Count b = 0; b < columns; b++, in += x_column, out += s.narrow[2]) add_products(sum, in, 1, out);
        }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) add(sums + r * s.narrow[2] + v * LANES, sum[r][v]);
}

template <int R, int V>
void products(const Shape& s, Count inputs, Count images, Count rows, Count columns, const float* x, const float* y,
              float* sums) {
    for (; inputs >= R; inputs -= R, x += R, sums += R * s.narrow[2])
        product<R, V>(s, images, rows, columns, x, y, sums);
    if constexpr (R > 1)
        if (inputs > 0) products<R - 1, V>(s, inputs, images, rows, columns, x, y, sums);
}

// First and end of the taps of an axis that read inside of the wide images at a place of the narrow ones.
INLINE std::pair<Count, Count> inside(const Shape& s, int axis, Count at) {
    const Count begin = at * s.stride[axis] - s.padding[axis];
    return {std::max<Count>(0, -begin), std::min(s.size[axis], s.wide[axis] - begin)};
}

// Adds dT/dw of some images to sums [taps, I, O]. Taps of one row of a kernel lie beside each other, in the kernel as
// in the images, and are multiplied together; columns that have the same of them form a rectangle.
inline void correlate_images(const Shape& s, Count images, const float* wide, const float* narrow, float* sums) {
    const Count pixel = s.wide[2], outputs = s.narrow[2];
    for (Count u = 0; u < s.size[0]; u++) {
        const Count top = std::max<Count>(0, parts(s.padding[0] - u, s.stride[0]));
        const Count bottom = std::min(s.narrow[0], (s.wide[0] - 1 + s.padding[0] - u + s.stride[0]) / s.stride[0]);
        for (Count b = 0, next; b < s.narrow[1] && top < bottom; b = next) {
            const auto taps = inside(s, 1, b);
            for (next = b + 1; next < s.narrow[1] && inside(s, 1, next) == taps;) next++;
            const Count row = top * s.stride[0] + u - s.padding[0];
            const Count column = b * s.stride[1] + taps.first - s.padding[1];
            const float* x = wide + (row * s.wide[1] + column) * pixel;
            const float* y = narrow + (top * s.narrow[1] + b) * outputs;
            float* to = sums + (u * s.size[1] + taps.first) * pixel * outputs;
            for (Count o = 0; o < outputs; o += 2 * LANES)
                (outputs - o > LANES ? products<TALL, 2> : products<TALL, 1>)(
                    s, (taps.second - taps.first) * pixel, images, bottom - top, next - b, x, y + o, to + o);
        }
    }
}

inline void correlate(const Shape& s, const float* wide, const float* narrow, float* sums, Count shares,
                      const Threads& threads) {
    const Count of_wide = s.wide[0] * s.wide[1] * s.wide[2], of_narrow = s.narrow[0] * s.narrow[1] * s.narrow[2];
    const Count of_kernels = s.size[0] * s.size[1] * s.wide[2] * s.narrow[2];
    const Count together = std::max<Count>(1, RUN / (s.narrow[0] * s.narrow[1]));
    share(threads, shares, [&](Count i) {
        const Count last = s.images * (i + 1) / shares;
        for (Count n = s.images * i / shares; n < last; n += together)
            correlate_images(s, std::min(together, last - n), wide + n * of_wide, narrow + n * of_narrow,
                             sums + i * of_kernels);
    });
}
#endif
