/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/machine.h"
#include "tests/lib/check.h"

static char root[64];

static void put(const char *path, const char *text)
{
    char whole[512];
    FILE *file;

    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    file = fopen(whole, "w");
    CHECK(file);
    fputs(text, file);
    fclose(file);
}

static void make_root(void)
{
    strcpy(root, "/tmp/tritd-machine-XXXXXX");
    CHECK(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", root);
    CHECK(system(command) == 0);
}

CASE(version_2, "the smallest limit of a group and of those above it counts")
{
    uint64_t machine = machine_memory_bytes("/nowhere");

    make_root();
    put("proc/self/cgroup", "0::/pod/app\n");
    put("sys/fs/cgroup/pod/app/memory.max", "max\n");
    put("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
    CHECK_EQ(machine_memory_bytes(root), machine);
    CHECK(machine_cores(root) >= 1);
    put("sys/fs/cgroup/pod/memory.max", "50000000\n");
    put("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
    CHECK_EQ(machine_memory_bytes(root), 50000000);
    CHECK_EQ(machine_cores(root), 1);
    put("sys/fs/cgroup/pod/app/memory.max", "30000000\n");
    CHECK_EQ(machine_memory_bytes(root), 30000000);
    remove_root();
}

CASE(version_1, "the limits of version 1 count, in a container too")
{
    uint64_t machine = machine_memory_bytes("/nowhere");

    make_root();
    put("proc/self/cgroup", "4:cpuacct,cpu:/x\n3:memory:/docker/abc\n2:cpuset:/\n0::/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(machine_memory_bytes(root), machine);
    CHECK_EQ(machine_cores(root), machine_cores("/nowhere"));
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "70000000\n"); /* no /docker/abc */
    CHECK_EQ(machine_memory_bytes(root), 70000000);
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "99000\n");
    CHECK_EQ(machine_cores(root), 1);
    remove_root();
}

CASE(none, "without groups the machine itself is the limit")
{
    CHECK(machine_memory_bytes("/nowhere") > 16 << 20);
    CHECK(machine_cores("/nowhere") >= 1);
    CHECK(machine_memory_bytes("") <= machine_memory_bytes("/nowhere"));
}

CASE(core, "a thread that may run on one processor only is on that one")
{
    cpu_set_t before, one;

    CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    for (unsigned core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &before))
            continue;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        CHECK_EQ(machine_core(), core);
    }
    CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}
