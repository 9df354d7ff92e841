/* Locks on files below the folder LOCKLESS fail with LOCK_ERRNO, as on a share without them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_on_share(int fd) {
  char link[64], path[4096];
  const char *share = getenv("LOCKLESS");
  ssize_t length;
  if (!share) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return !strncmp(path, share, strlen(share));
}

static int is_lock(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_GETLK;
}

#define WRAPPED(name)                                                       \
  int name(int fd, int command, ...) {                                      \
    static int (*real)(int, int, ...);                                      \
    va_list rest;                                                           \
    void *argument;                                                         \
    if (!real) real = dlsym(RTLD_NEXT, #name);                              \
    va_start(rest, command);                                                \
    argument = va_arg(rest, void *);                                        \
    va_end(rest);                                                           \
    if (is_lock(command) && is_on_share(fd)) {                              \
      errno = atoi(getenv("LOCK_ERRNO"));                                   \
      return -1;                                                            \
    }                                                                       \
    return real(fd, command, argument);                                     \
  }
WRAPPED(fcntl)
WRAPPED(fcntl64)
