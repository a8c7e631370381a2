/*
 * Functions of libc that noroshi does not use: they do not know how long
 * their output may be, keep hidden state, or hide errors. Forced into every
 * translation unit by the build.
 */
#ifndef NR_BANNED_H
#define NR_BANNED_H

/* Declared first, so that the poison does not hit libc's own headers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* clang meets some of them as macros of a hardened libc. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok gets
#pragma GCC poison atoi atol atoll gmtime localtime ctime asctime

#endif
