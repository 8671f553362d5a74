#!/bin/sh
# Sums products in 256 bytes of vectors, as types of 64 bytes (four) and of 32 bytes (eight), compiled for AVX2, whose
# registers have 32 bytes. Guess: a vector of 64 bytes is split into two registers, so that both loops have the same
# instructions, or nearly; the sums need 8 of the 16 registers.
# By clang it is so: no sum is ever in memory. GCC keeps each sum of the wide type in memory, and moves it in halves and
# quarters to and from there at each step, without a warning: a step takes 15 ns instead of 6 at -O2, and 46 instead of
# 6 at -O3, where clang's take 3.
# Usage: sh findings/gcc-keeps-wide-vectors-in-memory.sh; it needs gcc and a processor with AVX2, installs clang (as a
# part of zig) in a temporary folder, and fails if that changed. Seen with GCC 12.2 and clang 20.1.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q ziglang==0.15.1
cat > "$place/sums.c" <<'C'
#include <stdio.h>
#include <time.h>
#define MANY (256 / BYTES)
typedef float vec __attribute__((vector_size(BYTES)));
vec rows[64 * MANY], out[MANY];
float column[64];

__attribute__((noinline)) void products(const vec *rows, const float *column, vec *out, long count) {
    vec sum[MANY];
    for (int i = 0; i < MANY; i++) sum[i] = (vec){0};
    for (long k = 0; k < count; k++)
        for (int i = 0; i < MANY; i++) sum[i] += rows[k * MANY + i] * column[k];
    for (int i = 0; i < MANY; i++) out[i] = sum[i];
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

int main(void) {
    double best = 1e9;
    for (int turn = 0; turn < 20; turn++) {
        double began = now();
        for (int i = 0; i < 20000; i++) products(rows, column, out, 64);
        double took = now() - began;
        if (took < best) best = took;
    }
    printf("%.2f\n", best / 20000 / 64 * 1e9);
}
C
gcc --version | head -n 1
compile() {  # compiler, level, bytes: the nanoseconds of a step, and the lines that use the stack
    name="$place/$1$2-$3"
    case $1 in
    gcc) gcc -mavx2 -mfma "$2" -DBYTES="$3" -S -o "$name.s" "$place/sums.c"
         gcc -mavx2 -mfma "$2" -DBYTES="$3" -o "$name" "$place/sums.c" ;;
    clang) zig="$place/venv/bin/python -m ziglang cc -mcpu=haswell"
         $zig "$2" -DBYTES="$3" -g0 -S -o "$name.s" "$place/sums.c" 2> /dev/null
         $zig "$2" -DBYTES="$3" -o "$name" "$place/sums.c" ;;
    esac
    uses=$(sed -n '/^products:/,/^main:/p' "$name.s" | grep -cE '\(%r(sp|bp)\)' || true)
    took=$("$name")
    echo "$1 $2, vectors of $3 bytes: $uses lines use the stack, $took ns a step"
}
for level in -O2 -O3; do
    for compiler in gcc clang; do
        compile "$compiler" "$level" 32
        narrow=$uses few=$took
        compile "$compiler" "$level" 64
        case $compiler in
        gcc) python3 -c "assert $uses > $narrow + 20 and $took > 2 * $few, 'GCC changed: this finding is out of date'" ;;
        clang) python3 -c "assert $uses == $narrow == 0 and $took < 1.5 * $few, 'clang changed: this finding is out of date'" ;;
        esac
    done
done
