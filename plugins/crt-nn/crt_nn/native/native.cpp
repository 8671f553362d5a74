// What Python calls: one function for each operation, by pointers. `brain` says that values are bfloat16.

#include "attention.h"
#include "blocks.h"
#include "products.h"
#include "rows.h"

using crt::Brain;

template <class T, class W>
static void product(const void *x, const void *w, const void *bias, const void *onto, void *y, long rows, long inward,
                    long outward, int threads) {
  crt::Product<T, W>{(const T *)x, (const W *)w, (const T *)bias, (const T *)onto, (T *)y, rows, inward, outward}.run(
      threads);
}

extern "C" {

void crt_product(const void *x, const void *w, const void *bias, const void *onto, void *y, long rows, long inward,
                 long outward, int brain, int brain_weights, int threads) {
  auto run = brain ? product<Brain, Brain> : brain_weights ? product<float, Brain> : product<float, float>;
  run(x, w, bias, onto, y, rows, inward, outward, threads);
}

void crt_block(const crt::Weights *weights, const crt::Step *step) {
  if (weights->brain)
    crt::block<Brain>(*weights, *step);
  else
    crt::block<float>(*weights, *step);
}

void crt_norm(const void *x, const void *gain, void *y, long rows, long width, float epsilon, int brain) {
  if (brain)
    crt::norm((const Brain *)x, (const Brain *)gain, (Brain *)y, rows, width, epsilon);
  else
    crt::norm((const float *)x, (const float *)gain, (float *)y, rows, width, epsilon);
}

void crt_gated(const void *x, void *y, long rows, long hidden, int brain) {
  if (brain)
    crt::gated((const Brain *)x, (Brain *)y, rows, hidden);
  else
    crt::gated((const float *)x, (float *)y, rows, hidden);
}

void crt_rotated(void *x, const void *by, long positions, long heads, long all, long channels, int brain) {
  if (brain)
    crt::rotated((Brain *)x, (const float *)by, positions, heads, all, channels);
  else
    crt::rotated((float *)x, (const float *)by, positions, heads, all, channels);
}

void crt_attention(const void *query, const void *key, const void *value, const void *visible, void *mixed, long batch,
                   long queries, long slots, long heads, long groups, long channels, long query_batch, long query_step,
                   long key_batch, long key_step, float scale, int brain, int threads) {
  auto run = [&](auto sample) {
    using T = decltype(sample);
    crt::Attention<T>{(const T *)query, (const T *)key,  (const T *)value, (const bool *)visible,
                      (T *)mixed,       batch,           queries,          slots,
                      heads,            groups,          channels,         query_batch,
                      query_step,       key_batch,       key_step,         scale}
        .run(threads);
  };
  if (brain)
    run(Brain{});
  else
    run(0.0f);
}
}
