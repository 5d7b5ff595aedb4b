/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/progress.h"

#include <stdio.h>

#include "proto/utf8.h"

void progress_init(struct progress *progress, const struct progress_ops *ops,
                   uint64_t total)
{
    *progress = (struct progress){.ops = ops, .total = total};
    pthread_mutex_init(&progress->lock, NULL);
}

void progress_fini(struct progress *progress)
{
    pthread_mutex_destroy(&progress->lock);
}

int progress_check(struct progress *progress, struct failure *failure)
{
    return progress->ops->check ? progress->ops->check(progress, failure) : 0;
}

/* With the lock held. */
static void changed(struct progress *progress, bool due)
{
    if (progress->ops->changed)
        progress->ops->changed(progress, due);
}

void progress_piece_begin(struct progress_piece *piece, struct progress *progress,
                          const char *label, const atomic_bool *stopped)
{
    *piece = (struct progress_piece){.progress = progress, .stopped = stopped};
    pthread_mutex_lock(&progress->lock);
    if (snprintf(progress->label, sizeof(progress->label), "%s", label) >=
        (int)sizeof(progress->label))
        progress->label[utf8_cut(progress->label, sizeof(progress->label) - 1)] = '\0';
    changed(progress, false);
    pthread_mutex_unlock(&progress->lock);
}

static void piece_done(struct progress_piece *piece, uint64_t bytes, bool ends)
{
    struct progress *progress = piece->progress;

    pthread_mutex_lock(&progress->lock);
    progress->done = progress->done - piece->done + bytes;
    progress->pieces += ends;
    changed(progress, ends && progress->done >= progress->total);
    pthread_mutex_unlock(&progress->lock);
    piece->done = bytes;
}

int progress_update(void *arg, uint64_t bytes_done, uint64_t bytes_total)
{
    struct progress_piece *piece = arg;

    (void)bytes_total;
    piece_done(piece, piece->before + bytes_done, false);
    return progress_check(piece->progress, NULL) < 0 ||
           (piece->stopped && atomic_load(piece->stopped));
}

void progress_piece_reused(struct progress_piece *piece, uint64_t bytes)
{
    pthread_mutex_lock(&piece->progress->lock);
    piece->progress->reused++;
    piece->progress->reused_bytes += bytes;
    pthread_mutex_unlock(&piece->progress->lock);
    piece_done(piece, bytes, true);
}

void progress_piece_end(struct progress_piece *piece, uint64_t bytes)
{
    piece_done(piece, bytes, true);
}
