/* SPDX-License-Identifier: Apache-2.0 */
/* What the file of a job has in it (kept.h): records of a journal (drive/journal.h). */
#ifndef CHECKPOINTS_KEPT_RECORDS_H
#define CHECKPOINTS_KEPT_RECORDS_H

/* The records of a file, in this order. */
enum {
    KEPT_JOB = 1,     /* how often it was started, and a CheckpointsJobsResponse */
    KEPT_REQUEST = 2, /* of its method */
    KEPT_NAMED =
        5,        /* only of a job whose output gets its name: inode and time of change of
                         that output, time of the job's end, verdict */
    KEPT_LOG = 3, /* a message of its log */
    KEPT_END = 4, /* how many of them; nothing follows */
};

enum {
    ID_DIGITS = 16,      /* of a job's name, with which that of its file begins */
    NAMED_BYTES = 4 * 8, /* of a KEPT_NAMED */
};

#endif
