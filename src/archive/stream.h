/*
 * Streams: what lines belong to one rhythm, and what is seen of a clock and
 * of a proxy's requests on the way. Private to the room.
 *
 * A stream is all lines of one source and set of kinds from files of one name,
 * without what rotation and dates add to it.
 */
#ifndef NR_ARCHIVE_STREAM_H
#define NR_ARCHIVE_STREAM_H

#include "base/str.h"

#include <stddef.h>

/*
 * The stream's name of a file's PATH into OUT (at least SEG_NAME_MAX + 1
 * octets; NUL-terminated, UTF-8): its last directory and its name without
 * .gz, .xz, .zst, .bz2, without .log, .json, .txt, .csv, .tsv, without a
 * number behind a dot or of six digits or more, and without a date at its end
 * that begins with a year.
 * A directory that is a number or a date does not count.
 */
size_t stream_name(struct nr_str path, char *out);

#endif
