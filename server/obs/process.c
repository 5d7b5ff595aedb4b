/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t cpu_ns(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static uint64_t resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    unsigned long long resident = 0;

    if (!statm)
        return 0;
    if (fscanf(statm, "%*u %llu", &resident) != 1)
        resident = 0;
    fclose(statm);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t fds_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t count = 0;

    if (!dir)
        return 0;
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* without the one that reads the folder */
}

void process_usage_read(struct process_usage *usage)
{
    struct rlimit fds = {0};

    getrlimit(RLIMIT_NOFILE, &fds);
    *usage = (struct process_usage){
        .cpu_ns = cpu_ns(),
        .resident_bytes = resident_bytes(),
        .fds_open = fds_open(),
        .fds_max = fds.rlim_cur,
    };
}
