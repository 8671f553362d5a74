// SPDX-License-Identifier: Apache-2.0
// The threads of one cluster after another, as fibers of one thread. No sanitizer may look into this file: linked to
// ThreadSanitizer, it tells it what each fiber is and what comes before what.
#include "cuda.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

// ThreadSanitizer, where it is there.
extern "C" {
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* clock);
[[gnu::weak]] void __tsan_release(void* clock);
[[gnu::weak]] void AnnotateIgnoreWritesBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace emulated {
namespace {

constexpr size_t STACK = 1 << 17;
constexpr unsigned SETS = 2;  // neighbours in the order of clusters are of other fibers, so that no order is seen there

void release(void* clock) {
  if (__tsan_release) __tsan_release(clock);
}

void acquire(void* clock) {
  if (__tsan_acquire) __tsan_acquire(clock);
}

// Where a fiber goes on.
struct Context {
  ucontext_t start = {};
  void* registers[5] = {};
  bool begun = true;
  void* thread = nullptr;  // as ThreadSanitizer knows it
};

// Without swapcontext but for the first time, as that asks the kernel, and AddressSanitizer then cleans a whole stack.
__attribute__((noinline)) void change(Context& from, Context& to) {
  constexpr unsigned UNORDERED = 1;
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to.thread, UNORDERED);
  if (__builtin_setjmp(from.registers)) return;
  if (to.begun) __builtin_longjmp(to.registers, 1);
  to.begun = true;
  setcontext(&to.start);
}

// Memory of its very size with something in it, which nobody has written.
unsigned char* garbage(size_t bytes, int filling) {
  if (AnnotateIgnoreWritesBegin) AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  auto* memory = static_cast<unsigned char*>(std::malloc(bytes));
  std::memset(memory, filling, bytes);
  if (AnnotateIgnoreWritesEnd) AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  return memory;
}

// Clocks alternate: who leaves a barrier late must not learn of what came before the next one.
struct Barrier {
  unsigned expected = 0, arrived = 0, ticket = 0;
  bool orders = true;
  char clocks[2] = {};

  unsigned arrive() {
    const unsigned own = ticket;
    if (orders) release(&clocks[own % 2]);
    if (++arrived == expected) {
      arrived = 0;
      ++ticket;
    }
    return own;
  }

  bool open(unsigned own) const { return ticket != own; }

  void leave(unsigned own) {
    if (orders) acquire(&clocks[own % 2]);
  }
};

struct Warp {
  Barrier sync, exchange;
  uint64_t words[2][WARP] = {};
};

struct Block {
  Index index;
  unsigned rank = 0, running = 0;
  unsigned char* memory = nullptr;
  char end = 0;
  Barrier sync;
  std::vector<Warp> warps;
};

struct Copy {
  void* target;
  const void* source;
  size_t bytes;
};

struct Fiber {
  Place place;
  Block* block = nullptr;
  Warp* warp = nullptr;
  const Barrier* waits = nullptr;
  const char* where = "";
  unsigned ticket = 0;
  bool ended = true, fenced = false;
  std::vector<const void*> read;  // atomics since the last fence
  std::deque<std::vector<Copy>> batches;
  std::vector<Copy> open;
  Context context;
  std::unique_ptr<char[]> stack;
};

struct Cluster {
  std::vector<Block> blocks;
  Barrier sync;
};

Grid grid;
const std::function<void()>* kernel;
std::unique_ptr<Cluster> cluster;  // another one each time: clocks start anew
Fiber* self;
std::vector<Fiber*> turns;  // the fibers of the cluster; `turn`: whose it is
size_t turn;
std::deque<Fiber> sets[SETS];
Context main_context;
char begin_clock, end_clock;
uint64_t bytes_copied;

[[noreturn]] void give_up(const char* expected, const char* got) {
  const Place at = self ? self->place : Place{};
  std::fprintf(stderr, "emulated: thread %u of block %u,%u: expected %s, got %s\n", at.thread.x, at.block.x, at.block.y,
               expected, got);
  std::abort();
}

void expect(bool holds, const char* expected, const char* got) {
  if (!holds) give_up(expected, got);
}

// Goes on with the next fiber that can; where none can, no thread ever will.
void go_on() {
  Fiber* last = self;
  for (size_t step = 1; step <= turns.size(); ++step) {
    const size_t next = (turn + step) % turns.size();
    Fiber* fiber = turns[next];
    if (fiber->ended || (fiber->waits && !fiber->waits->open(fiber->ticket))) continue;
    turn = next;
    if (fiber == last) return;
    self = fiber;
    change(last->context, fiber->context);
    return;
  }
  for (const Fiber* fiber : turns) {
    if (!fiber->ended) give_up("all threads at a barrier", fiber->where);
  }
  self = nullptr;
  change(last->context, main_context);
}

void wait(Barrier& barrier, unsigned ticket, const char* where) {
  if (!barrier.open(ticket)) {
    self->waits = &barrier;
    self->ticket = ticket;
    self->where = where;
    go_on();
    self->waits = nullptr;
  }
  barrier.leave(ticket);
}

void meet(Barrier& barrier, const char* where) { wait(barrier, barrier.arrive(), where); }

const uint64_t* gathered(unsigned mask, uint64_t word) {
  expect(mask == ~0u, "a mask of the whole warp", "another one");
  Warp& warp = *self->warp;
  const unsigned half = warp.exchange.ticket % 2;
  warp.words[half][lane()] = word;
  meet(warp.exchange, "some that wait for a shuffle or a vote");
  return warp.words[half];
}

// A block's memory ends with its last thread: a block of the cluster that reads it later reads what is not there.
void end() {
  close_batch();
  for (const auto& batch : self->batches) expect(batch.empty(), "a wait for every copy", "a thread that has ended");
  self->batches.clear();
  release(&end_clock);
  release(&self->block->end);
  if (--self->block->running == 0) {
    acquire(&self->block->end);
    std::free(self->block->memory);
    self->block->memory = nullptr;
  }
  self->ended = true;
}

void live() {
  for (;;) {
    acquire(&begin_clock);
    (*kernel)();
    end();
    go_on();
  }
}

Fiber& fiber(unsigned set, size_t index) {
  while (sets[set].size() <= index) {
    Fiber& made = sets[set].emplace_back();
    made.stack.reset(new char[STACK]);
    if (__tsan_create_fiber) made.context.thread = __tsan_create_fiber(0);
    made.context.begun = false;
    getcontext(&made.context.start);
    made.context.start.uc_stack.ss_sp = made.stack.get();
    made.context.start.uc_stack.ss_size = STACK;
    makecontext(&made.context.start, live, 0);
  }
  return sets[set][index];
}

void place(Fiber& made, Block& block, unsigned thread) {
  made.place = {{thread}, block.index, {grid.threads, 1, 1}, {grid.x, grid.y, 1}};
  made.block = &block;
  made.warp = &block.warps[thread / WARP];
  made.ended = made.fenced = false;
  made.read.clear();
}

void run_cluster(unsigned number, unsigned set, std::mt19937_64& chance) {
  const unsigned across = grid.x / grid.cluster;
  cluster.reset(new Cluster{std::vector<Block>(grid.cluster), {grid.cluster * grid.threads}});
  turns.clear();
  for (unsigned rank = 0; rank < grid.cluster; ++rank) {
    Block& block = cluster->blocks[rank];
    block.index = {number % across * grid.cluster + rank, number / across};
    block.rank = rank;
    block.running = grid.threads;
    block.memory = garbage(grid.shared, static_cast<unsigned char>(chance()));
    block.sync.expected = grid.threads;
    block.warps.resize(grid.threads / WARP);
    for (Warp& warp : block.warps) {
      warp.sync.expected = warp.exchange.expected = WARP;
      warp.exchange.orders = false;
    }
    for (unsigned thread = 0; thread < grid.threads; ++thread) {
      Fiber& made = fiber(set, rank * grid.threads + thread);
      place(made, block, thread);
      turns.push_back(&made);
    }
  }
  std::shuffle(turns.begin(), turns.end(), chance);
  turn = 0;
  self = turns[0];
  change(main_context, self->context);
}

}  // namespace

void launch(const Grid& given, uint64_t seed, const std::function<void()>& body) {
  expect(given.threads && given.threads % WARP == 0, "whole warps", "another number of threads");
  expect(given.cluster && given.x % given.cluster == 0, "whole clusters", "another number of blocks");
  grid = given;
  kernel = &body;
  if (__tsan_get_current_fiber) main_context.thread = __tsan_get_current_fiber();
  release(&begin_clock);
  std::mt19937_64 chance(seed);
  std::vector<unsigned> order(grid.x / grid.cluster * grid.y);
  for (unsigned place = 0; place < order.size(); ++place) order[place] = place;
  std::shuffle(order.begin(), order.end(), chance);
  for (unsigned place = 0; place < order.size(); ++place) run_cluster(order[place], place % SETS, chance);
  acquire(&end_clock);
}

uint64_t copied() { return bytes_copied; }

const Place& here() { return self->place; }
unsigned char* shared() { return self->block->memory; }

void wait_for_warp() { meet(self->warp->sync, "some that wait for their warp"); }
void wait_for_block() { meet(self->block->sync, "some that wait for their block"); }
unsigned arrive_at_cluster() { return cluster->sync.arrive(); }
void wait_for_cluster(unsigned ticket) { wait(cluster->sync, ticket, "some that wait for their cluster"); }
unsigned cluster_rank() { return self->block->rank; }
unsigned cluster_size() { return grid.cluster; }

void* shared_of(unsigned rank, const void* own) {
  const ptrdiff_t offset = static_cast<const unsigned char*>(own) - shared();
  expect(rank < grid.cluster, "a block of the cluster", "a rank beyond it");
  expect(offset >= 0 && offset < static_cast<ptrdiff_t>(grid.shared), "own shared memory", "a pointer elsewhere");
  expect(cluster->blocks[rank].memory, "a block that is still there", "one whose threads have all ended");
  return cluster->blocks[rank].memory + offset;
}

uint64_t exchanged(unsigned mask, uint64_t word, unsigned lane) { return gathered(mask, word)[lane]; }

unsigned voted(unsigned mask, uint64_t word) {
  const uint64_t* words = gathered(mask, word);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < WARP; ++lane) bits |= static_cast<unsigned>(words[lane] != 0) << lane;
  return bits;
}

// What an asynchronous copy writes is not to be read before the wait: until then there is something else.
void copy_later(void* target, const void* source, size_t bytes) {
  const auto places = reinterpret_cast<uintptr_t>(target) | reinterpret_cast<uintptr_t>(source);
  const ptrdiff_t offset = static_cast<unsigned char*>(target) - shared();
  expect(bytes == 4 || bytes == 8 || bytes == 16, "an asynchronous copy of 4, 8 or 16 bytes", "another number");
  expect(places % bytes == 0, "an asynchronous copy between aligned places", "one that is not");
  expect(offset >= 0 && offset + bytes <= grid.shared, "an asynchronous copy to own shared memory", "another target");
  std::memset(target, 0xA5, bytes);
  self->open.push_back({target, source, bytes});
}

void close_batch() {
  self->batches.push_back(std::move(self->open));
  self->open.clear();
}

void finish_copies(size_t but) {
  for (; self->batches.size() > but; self->batches.pop_front()) {
    for (const Copy& copy : self->batches.front()) {
      std::memcpy(copy.target, copy.source, copy.bytes);
      bytes_copied += copy.bytes;
    }
  }
}

void fence() {
  for (const void* atomic : self->read) acquire(const_cast<void*>(atomic));
  self->read.clear();
  self->fenced = true;
}

bool fenced(const void* atomic) {
  self->read.push_back(atomic);
  return std::exchange(self->fenced, false);
}

}  // namespace emulated
