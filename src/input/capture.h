/* Packet captures as lines. Private to the room. */
#ifndef NR_INPUT_CAPTURE_H
#define NR_INPUT_CAPTURE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* Do these first octets begin a capture (pcap of both orders and of both
 * resolutions of time, pcapng)? */
bool nr_capture_is(struct nr_bytes head);

/*
 * Write the lines of the capture FD, read from 0, to TO, at most MAX octets.
 * What came before a damage is written. NR_ETRUNC, NR_EFORMAT, NR_ELIMIT,
 * NR_ENOMEM, NR_ESYS.
 */
enum nr_err nr_capture_lines(int fd, const char *name, int to, uint64_t max,
    struct nr_diag *d) NR_MUST_USE;

#endif
