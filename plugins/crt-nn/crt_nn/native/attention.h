// Attention of queries to those keys and values that each sees, in the order of their slots.
//
// Scores are sums over channels, each by itself. Weights are normalised over what is seen alone, and values are added
// slot after slot, where a weight of zero changes no bit. So a path of a tree has the bits of the same ids in a line.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "products.h"

namespace crt {

constexpr long FEW = 4;  // queries of a head, of all heads that share its keys

// Axes: b batch, t queries, s slots, h heads, g heads of keys and values, d channels.
template <class T> struct Attention {
  const T *query;       // b t h d, by strides
  const T *key, *value; // b s g d, by strides
  const bool *visible;  // b t s; null: those up to the query's own, the last one's being the last
  T *mixed;             // b t h d
  long batch, queries, slots, heads, groups, channels;
  long query_batch, query_step, key_batch, key_step;
  float scale;

  long each() const { return heads / groups; }
  long rows() const { return queries * each(); }
  long columns() const { return (slots + PANEL - 1) / PANEL * PANEL; }
  long wide() const { return (channels + PANEL - 1) / PANEL * PANEL; }

  void run(int threads) const {
    if (rows() <= FEW && channels <= PART)
      return few(threads);
    static thread_local std::vector<float> space;
    long size = columns() * (channels + wide());  // keys in panels of slots, values in panels of channels
    if (long(space.size()) < groups * size)
      space.resize(groups * size);
    float *panels = space.data();
    long blocks = (rows() + BLOCK - 1) / BLOCK;
    for (long b = 0; b < batch; b++) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
      for (long g = 0; g < groups; g++)
        lay(b, g, panels + g * size);
#pragma omp parallel for num_threads(threads) schedule(dynamic) collapse(2) if (threads > 1)
      for (long g = 0; g < groups; g++)
        for (long block = 0; block < blocks; block++)
          some(b, g, block * BLOCK, std::min(rows(), (block + 1) * BLOCK), panels + g * size);
    }
  }

  // Lays the keys of a head as `s/32 d 32`, and its values as `d/32 s 32`.
  void lay(long b, long g, float *keys) const {
    const T *k = key + b * key_batch + g * channels, *v = value + b * key_batch + g * channels;
    float *values = keys + columns() * channels;
    for (long s = 0; s < columns(); s += LANES)
      for (long c = 0; c < channels; c += LANES) {
        Vector square[LANES];
        for (long i = 0; i < LANES; i++)
          square[i] = s + i < slots ? load(k + (s + i) * key_step + c, channels - c) : Vector{};
        turn(square);
        float *to = keys + s / PANEL * PANEL * channels + c * PANEL + s % PANEL;
        for (long i = 0; i < std::min<long>(LANES, channels - c); i++)
          put(to + i * PANEL, square[i]);
      }
    for (long c = 0; c < wide(); c += LANES)
      for (long s = 0; s < slots; s++) {
        float *to = values + c / PANEL * PANEL * columns() + s * PANEL + c % PANEL;
        put(to, c < channels ? load(v + s * key_step + c, channels - c) : Vector{});
      }
  }

  // Rows `first` to `last` of a head's queries: each query of each head that shares its keys.
  void some(long b, long g, long first, long last, const float *keys) const {
    static thread_local std::vector<float> buffer;
    const float *values = keys + columns() * channels;
    static thread_local Seen seen;
    long m = last - first, reach = 0;
    for (long row = first; row < last; row++)
      reach = std::max(reach, end(b, row / each()));
    long room = (reach + PANEL - 1) / PANEL * PANEL;
    if (long(buffer.size()) < m * (2 * room + channels) + room)
      buffer.resize(m * (2 * room + channels) + room);
    float *x = buffer.data(), *scores = x + m * channels, *weights = scores + m * room, *line = weights + m * room;
    for (long row = 0; row < m; row++) {
      const T *q = query + b * query_batch + (first + row) / each() * query_step +
                   (g * each() + (first + row) % each()) * channels;
      for (long c = 0; c < channels; c++)
        x[c * m + row] = crt::wide(q[c]);
    }
    for (long s = 0; s < reach; s += PANEL) {
      Sums sums[1] = {};
      for (long c = 0; c < channels; c += PART)
        part<1, float, false>(m, x + c * m, keys + s * channels + c * PANEL, 0, std::min<long>(PART, channels - c), sums);
      for (long row = 0; row < m; row++)
        for (int v = 0; v < ACROSS; v++)
          put(scores + row * room + s + v * LANES, sums[0][row][v] * scale);
    }
    float over[BLOCK];
    for (long row = 0; row < m; row++) {
      if (row == 0 || (first + row) % each() == 0)
        look(b, (first + row) / each(), seen);
      over[row] = soften(seen, scores + row * room, line, weights + row, m, reach);
    }
    for (long c = 0; c < channels; c += PANEL) {
      Sums sums[1] = {};
      part<1, float, false>(m, weights, values + c * columns(), 0, reach, sums);
      for (long row = 0; row < m; row++) {
        T *to = mixed + ((b * queries + (first + row) / each()) * heads + g * each() + (first + row) % each()) * channels;
        for (int v = 0; v < ACROSS; v++)
          if (long at = c + v * LANES; at < channels)
            put(to + at, sums[0][row][v] * over[row], channels - at);
      }
    }
  }

  // The same sums for few queries of each head, where laying keys and values anew would take longer than they do: slots
  // are read one after another, all heads of a slot together, as they lie.
  void few(int threads) const {
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (long b = 0; b < batch; b++)
      row(b);
  }

  void row(long b) const {
    static thread_local std::vector<float> buffer;
    static thread_local std::vector<Seen> seen;
    if (long(seen.size()) < queries)
      seen.resize(queries);
    long m = rows(), reach = 0;
    for (long t = 0; t < queries; t++) {
      look(b, t, seen[t]);
      reach = std::max(reach, seen[t].empty() ? 0 : seen[t].back().second);
    }
    long room = (reach + LANES - 1) / LANES * LANES, all = groups * m, lanes = (channels + LANES - 1) / LANES * LANES;
    long size = all * (channels + 2 * room + lanes + 1) + room;
    if (long(buffer.size()) < size)
      buffer.resize(size);
    float *x = buffer.data(), *scores = x + all * channels, *weights = scores + all * room;
    float *sums = weights + all * room, *line = sums + all * lanes, *over = line + room;
    for (long g = 0; g < groups; g++)
      for (long i = 0; i < m; i++) {
        const T *q = query + b * query_batch + i / each() * query_step + (g * each() + i % each()) * channels;
        for (long c = 0; c < channels; c++)
          x[(g * m + i) * channels + c] = crt::wide(q[c]);
      }
    const T *k = key + b * key_batch, *v = value + b * key_batch;
    for (long s = 0; s < reach; s += LANES)
      for (long g = 0; g < groups; g++)
        switch (m) {
        case 1: score<1>(k + g * channels, s, reach, x + g * m * channels, scores + g * m * room + s, room); break;
        case 2: score<2>(k + g * channels, s, reach, x + g * m * channels, scores + g * m * room + s, room); break;
        case 3: score<3>(k + g * channels, s, reach, x + g * m * channels, scores + g * m * room + s, room); break;
        case 4: score<4>(k + g * channels, s, reach, x + g * m * channels, scores + g * m * room + s, room); break;
        }
    std::memset(sums, 0, all * lanes * sizeof(float));
    for (long i = 0; i < all; i++)
      over[i] = soften(seen[i % m / each()], scores + i * room, line, weights + i * room, 1, reach);
    for (long s = 0; s < reach; s += LANES)
      for (long g = 0; g < groups; g++)
        for (long i = 0; i < m; i++)
          add(v + g * channels, s, std::min(reach, s + LANES), weights + (g * m + i) * room, sums + (g * m + i) * lanes);
    for (long g = 0; g < groups; g++)
      for (long i = 0; i < m; i++) {
        T *to = mixed + ((b * queries + i / each()) * heads + g * each() + i % each()) * channels;
        for (long c = 0; c < channels; c += LANES)
          put(to + c, load(sums + (g * m + i) * lanes + c) * over[g * m + i], channels - c);
      }
  }

  // The scores of M queries of a head with a vector of slots.
  template <int M>
  void score(const T *k, long s, long reach, const float *x, float *scores, long room) const {
    Vector own[M] = {};
    for (long c = 0; c < channels; c += LANES) {
      Vector square[LANES];
      for (long i = 0; i < LANES; i++)
        square[i] = s + i < reach ? load(k + (s + i) * key_step + c, channels - c) : Vector{};
      turn(square);
      for (long i = 0; i < std::min<long>(LANES, channels - c); i++)
        for (int m = 0; m < M; m++)
          own[m] = fused(every(x[m * channels + c + i]), square[i], own[m]);
    }
    for (int m = 0; m < M; m++)
      put(scores + m * room, own[m] * scale);
  }

  // Adds the values of a head in slots `first` to `last`, by their weights.
  void add(const T *v, long first, long last, const float *weights, float *sums) const {
    for (long c = 0; c < channels; c += LANES) {
      Vector own = load(sums + c);
      for (long s = first; s < last; s++)
        own = fused(every(weights[s]), load(v + s * key_step + c, channels - c), own);
      put(sums + c, own);
    }
  }

  // From and to which slots a query sees, in order.
  typedef std::vector<std::pair<long, long>> Seen;

  void look(long b, long t, Seen &seen) const {
    seen.clear();
    if (!visible) {
      seen.emplace_back(0, t + slots - queries + 1);
      return;
    }
    const bool *marks = visible + (b * queries + t) * slots;
    for (long s = 0; s < slots; s++)
      if (marks[s]) {
        long first = s;
        while (s < slots && marks[s])
          s++;
        seen.emplace_back(first, s);
      }
  }

  // The slot behind the last one that a query sees.
  long end(long b, long t) const {
    if (!visible)
      return t + slots - queries + 1;
    const bool *marks = visible + (b * queries + t) * slots;
    long s = slots;
    while (s > 0 && !marks[s - 1])
      s--;
    return s;
  }

  // Weights of what a query sees, zero elsewhere, at every `step`; returns one over their sum.
  static float soften(const Seen &seen, const float *scores, float *line, float *weights, long step, long reach) {
    long count = 0;
    for (auto [first, last] : seen) {
      std::memcpy(line + count, scores + first, (last - first) * sizeof(float));
      count += last - first;
    }
    float most = -INFINITY;
    for (long j = 0; j < count; j++)
      most = line[j] > most ? line[j] : most;
    Vector all = {};
    for (long j = 0; j < count; j += LANES) {
      Vector weight = exponential(load(line + j, count - j) - most);
      put(line + j, weight, count - j);
      all += load(line + j, count - j);
    }
    for (long s = 0; s < reach; s++)
      weights[s * step] = 0.0f;
    count = 0;
    for (auto [first, last] : seen)
      for (long s = first; s < last; s++)
        weights[s * step] = line[count++];
    return 1.0f / sum(all);
  }
};

}  // namespace crt
