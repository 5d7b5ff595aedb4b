/* SPDX-License-Identifier: Apache-2.0 */
#include "base/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

enum { PATH_BYTES = 512 };

static const uint64_t none = UINT64_MAX;

/* The first two numbers of a file; `none` where it says "max" or less than 0, or has no
 * such number. False: there is no file. */
static bool read_numbers(const char *path, uint64_t *first, uint64_t *second)
{
    FILE *file = fopen(path, "re");
    char words[2][32] = {"", ""};

    if (!file)
        return false;
    if (fscanf(file, "%31s %31s", words[0], words[1]) < 1)
        words[0][0] = '\0';
    fclose(file);
    if (sscanf(words[0], "%" SCNu64, first) != 1 || words[0][0] == '-')
        *first = none;
    if (sscanf(words[1], "%" SCNu64, second) != 1)
        *second = none;
    return true;
}

static uint64_t memory_of(const char *folder, bool v2)
{
    char path[PATH_BYTES + 32];
    uint64_t bytes = none, unused;

    snprintf(path, sizeof(path), "%s/%s", folder,
             v2 ? "memory.max" : "memory.limit_in_bytes");
    return read_numbers(path, &bytes, &unused) ? bytes : none;
}

static uint64_t cores_of(const char *folder, bool v2)
{
    char path[PATH_BYTES + 32];
    uint64_t quota = none, period = none, unused;

    snprintf(path, sizeof(path), "%s/%s", folder, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    if (!read_numbers(path, &quota, &period))
        return none;
    if (!v2) {
        snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
        read_numbers(path, &period, &unused);
    }
    if (quota == none || period == none || period == 0)
        return none;
    return quota / period + (quota % period != 0);
}

/* The smallest limit of a group and of those above it. Within a container the path of
 * the group may not exist; then the mounted root is its group. */
static uint64_t smallest(const char *mount, const char *group, bool v2,
                         uint64_t (*limit_of)(const char *folder, bool v2))
{
    char folder[PATH_BYTES];
    uint64_t found = none;

    snprintf(folder, sizeof(folder), "%s%s", mount, group);
    while (strlen(folder) >= strlen(mount)) {
        found = u64_min(found, limit_of(folder, v2));
        if (!strrchr(folder, '/'))
            break;
        *strrchr(folder, '/') = '\0';
    }
    return u64_min(found, limit_of(mount, v2));
}

static bool lists(const char *controllers, const char *wanted)
{
    const size_t length = strlen(wanted);

    while (*controllers) {
        size_t word = strcspn(controllers, ",");

        if (word == length && memcmp(controllers, wanted, length) == 0)
            return true;
        controllers += word + (controllers[word] == ',');
    }
    return false;
}

/* The limit of this process's groups: lines of /proc/self/cgroup are
 * number:controllers:path, and version 2 has no controllers. */
static uint64_t group_limit(const char *root, const char *controller,
                            uint64_t (*limit_of)(const char *folder, bool v2))
{
    char path[PATH_BYTES], line[PATH_BYTES], mount[PATH_BYTES];
    uint64_t found = none;
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        bool v2;

        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        group[strcspn(group, "\n")] = '\0';
        v2 = *controllers == '\0';
        if (!v2 && !lists(controllers, controller))
            continue;
        snprintf(mount, sizeof(mount), "%.256s/sys/fs/cgroup%s%s", root, v2 ? "" : "/",
                 v2 ? "" : controller);
        found = u64_min(found, smallest(mount, group, v2, limit_of));
    }
    if (file)
        fclose(file);
    return found;
}

uint64_t machine_memory_bytes(const char *root)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t physical = pages > 0 && page_bytes > 0
                            ? (uint64_t)pages * (uint64_t)page_bytes
                            : (uint64_t)1 << 31;

    return u64_min(physical, group_limit(root, "memory", memory_of));
}

unsigned machine_cores(const char *root)
{
    uint64_t quota = group_limit(root, "cpu", cores_of);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned cores = online > 0 ? (unsigned)online : 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) /* or too small for the machine */
        cores = (unsigned)CPU_COUNT(&set);
    cores = (unsigned)u64_min(cores, quota);
    return cores > 0 ? cores : 1;
}

unsigned machine_core(void)
{
    const int core = sched_getcpu();

    return core < 0 ? 0 : (unsigned)core;
}
