// Times a case of a C program of the benchmark, and prints a line of JSON, in ns per operation:
//
//   { "min", "median", "p99", "check" }
//
// "check" is the sum of the results of the case's `check` operations. It is the same in every column.
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Keeps the compiler from moving work out of a loop, or across it.
#define BARRIER() __asm__ volatile("" ::: "memory")

static const double RUN_NS = 1e6;
static const size_t MOST_SAMPLES = 2000;

// A case. `prepare` is called before each run, and not timed. `run` returns the sum of the results. A run has at most
// `most` operations, and at least `least`. An operation does `units` things that the time is given for, or one.
typedef struct {
  void (*prepare)(void);
  double (*run)(uint32_t operations);
  uint32_t most, check, least, units;
} Case;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static volatile double sink;

static double timed_run(const Case *c, uint32_t operations) {
  if (c->prepare) c->prepare();
  double start = now();
  double sum = c->run(operations);
  double end = now();
  sink = sum;
  return end - start;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// The values must be in ascending order.
static double quantile(const double *values, size_t n, double part) { return values[(size_t)(part * (double)(n - 1))]; }

static void measure(const Case *c, double budget_ns, size_t least_samples) {
  if (c->prepare) c->prepare();
  double check = c->run(c->check);
  uint32_t operations = c->least ? c->least : 1;
  double wall, before;
  for (;; operations = operations > c->most / 2 ? c->most : operations * 2) {
    before = now();
    double took = timed_run(c, operations);
    wall = now() - before;
    if (took >= RUN_NS || operations == c->most) break;
  }
  double wanted = budget_ns / wall;
  size_t samples = wanted > MOST_SAMPLES ? MOST_SAMPLES : wanted < least_samples ? least_samples : (size_t)wanted;
  double *took = malloc(samples * sizeof *took);
  double parts = (double)operations * (c->units ? c->units : 1);
  for (size_t i = 0; i < samples; i++) took[i] = timed_run(c, operations) / parts;
  qsort(took, samples, sizeof *took, ascending);
  printf("{\"min\":%.4f,\"median\":%.4f,\"p99\":%.4f,\"check\":%.0f}\n",
         took[0], quantile(took, samples, 0.5), quantile(took, samples, 0.99), check);
}

// Returns all of standard input. *nbytes is its length.
static void *read_input(size_t *nbytes) {
  size_t room = 1 << 16, used = 0, got;
  char *data = malloc(room);
  while ((got = fread(data + used, 1, room - used, stdin)) > 0) {
    used += got;
    if (used == room) data = realloc(data, room *= 2);
  }
  *nbytes = used;
  return data;
}

// Complains about the arguments. Returns the exit status.
static int unknown(const char *what) {
  fprintf(stderr, "no such case: %s\n", what);
  return 2;
}

#endif
