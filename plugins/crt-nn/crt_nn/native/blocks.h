// A whole pre-norm block of attention and a gated feed-forward layer, of which a session caches keys and values.
#pragma once

#include "attention.h"
#include "products.h"
#include "rows.h"

namespace crt {

// What a product needs; `brain` says that the panels are bfloat16.
struct Matrix {
  const void *panels, *bias;
  long outward;
  int brain;
};

// The weights of a block. Gains of heads may be null.
struct Weights {
  const void *first, *second, *query, *key;
  Matrix inward, outward, up, down;
  long width, heads, groups, channels;
  float first_epsilon, second_epsilon, head_epsilon;
  int brain;
};

// What a step brings. Axes: b batch, t new positions, s slots.
struct Step {
  const void *stream;  // b t w
  void *result;        // b t w
  const float *turns;  // b t d
  void *cache;         // b s 2g d: keys, then values
  const bool *visible; // b t s; null: causal
  long batch, steps, slots, offset, cached;  // slots that are seen; the first that is written; those of a row
  int threads;
};

template <class T>
void product(const T *x, const Matrix &matrix, const T *onto, T *y, long rows, long inward, int threads) {
  const T *bias = (const T *)matrix.bias;
  if (std::is_same_v<T, Brain> || matrix.brain)
    Product<T, Brain>{x, (const Brain *)matrix.panels, bias, onto, y, rows, inward, matrix.outward}.run(threads);
  else
    Product<T, float>{x, (const float *)matrix.panels, bias, onto, y, rows, inward, matrix.outward}.run(threads);
}

template <class T> void block(const Weights &w, const Step &step) {
  long rows = step.batch * step.steps, all = w.heads + 2 * w.groups, turned = w.heads + w.groups, d = w.channels;
  long hidden = w.up.outward / 2, kept = 2 * w.groups * d;
  static thread_local std::vector<T> space;
  long most = std::max(w.width, w.heads * d);
  long size = rows * (most + std::max(all * d, 3 * hidden));
  if (long(space.size()) < size)
    space.resize(size);
  T *features = space.data(), *joint = features + rows * most, *y = (T *)step.result;
  const T *stream = (const T *)step.stream;

  norm(stream, (const T *)w.first, features, rows, w.width, w.first_epsilon);
  product(features, w.inward, (const T *)nullptr, joint, rows, w.width, step.threads);
  if (w.query)
    for (long row = 0; row < rows; row++) {
      T *heads = joint + row * all * d;
      norm(heads, (const T *)w.query, heads, w.heads, d, w.head_epsilon);
      norm(heads + w.heads * d, (const T *)w.key, heads + w.heads * d, w.groups, d, w.head_epsilon);
    }
  rotated(joint, step.turns, rows, turned, all, d);
  T *cache = (T *)step.cache;
  for (long b = 0; b < step.batch; b++)
    for (long t = 0; t < step.steps; t++)
      std::memcpy(cache + (b * step.cached + step.offset + t) * kept,
                  joint + ((b * step.steps + t) * all + w.heads) * d, kept * sizeof(T));
  Attention<T>{joint,      cache,      cache + w.groups * d, step.visible,          features, step.batch,
               step.steps, step.slots, w.heads,              w.groups,              d,        step.steps * all * d,
               all * d,    step.cached * kept, kept,         float(std::pow(double(d), -0.5))}
      .run(step.threads);
  product(features, w.outward, stream, y, rows, w.heads * d, step.threads);

  T *both = joint, *gate = joint + 2 * rows * hidden;
  norm(y, (const T *)w.second, features, rows, w.width, w.second_epsilon);
  product(features, w.up, (const T *)nullptr, both, rows, w.width, step.threads);
  gated(both, gate, rows, hidden);
  product(gate, w.down, (const T *)y, y, rows, hidden, step.threads);
}

}  // namespace crt
