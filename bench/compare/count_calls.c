/* Counts what a process allocates and copies: LD_PRELOAD it, COUNT_CALLS=FILE. The file holds the counters, little-endian, 8 bytes each:
   allocations, their bytes, frees, copies, their bytes, copies of 4 KiB and more, their bytes. See per_request.sh. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALLOCATIONS, ALLOCATED_BYTES, FREES, COPIES, COPIED_BYTES, LONG_COPIES, LONG_COPIED_BYTES, COUNTERS };
static _Atomic uint64_t unshared[COUNTERS];
static _Atomic uint64_t *counters = unshared;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static void count(int counter, uint64_t by) { atomic_fetch_add_explicit(&counters[counter], by, memory_order_relaxed); }

static void allocated(size_t bytes) {
    count(ALLOCATIONS, 1);
    count(ALLOCATED_BYTES, bytes);
}

__attribute__((constructor)) static void open_counters(void) {
    const char *path = getenv("COUNT_CALLS");
    int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof unshared) != 0) return;
    void *shared = mmap(NULL, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) counters = shared;
    close(file);
}

void *malloc(size_t bytes) { allocated(bytes); return __libc_malloc(bytes); }
void *calloc(size_t count, size_t each) { allocated(count * each); return __libc_calloc(count, each); }
void *realloc(void *old, size_t bytes) { allocated(bytes); return __libc_realloc(old, bytes); }
void *aligned_alloc(size_t align, size_t bytes) { allocated(bytes); return __libc_memalign(align, bytes); }
int posix_memalign(void **result, size_t align, size_t bytes) {
    allocated(bytes);
    *result = __libc_memalign(align, bytes);
    return *result ? 0 : 12; /* ENOMEM */
}
void free(void *memory) { if (memory) count(FREES, 1); __libc_free(memory); }

static void copied(size_t bytes) {
    count(COPIES, 1);
    count(COPIED_BYTES, bytes);
    if (bytes >= 4096) {
        count(LONG_COPIES, 1);
        count(LONG_COPIED_BYTES, bytes);
    }
}

/* By instructions, for a call of memcpy here would come here again. */
static void forward(void *to, const void *from, size_t bytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}
static void backward(char *to, const char *from, size_t bytes) {
    to += bytes - 1;
    from += bytes - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    copied(bytes);
    forward(to, from, bytes);
    return to;
}
void *memmove(void *to, const void *from, size_t bytes) {
    copied(bytes);
    if ((char *)to <= (const char *)from || (char *)to >= (const char *)from + bytes) forward(to, from, bytes);
    else backward(to, from, bytes);
    return to;
}
