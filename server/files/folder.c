/* SPDX-License-Identifier: Apache-2.0 */
#include "files/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "files/source.h"

bool folder_is(const char *path)
{
    struct stat there;

    return stat(path, &there) == 0 && S_ISDIR(there.st_mode);
}

bool folder_name_is_plain(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

char *folder_path(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int names_add(struct folder_names *names, const char *name,
                     struct failure *failure)
{
    if (names->count == FOLDER_NAMES_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "the folder holds more than %d files", FOLDER_NAMES_MAX);
    char **larger =
        array_grow(names->names, &names->capacity, names->count + 1, sizeof(*larger));
    if (!larger)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    names->names = larger;
    names->names[names->count] = strdup(name);
    if (!names->names[names->count])
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    names->count++;
    return 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool is_regular(int folder, const char *name)
{
    struct stat there;

    return fstatat(folder, name, &there, 0) == 0 && S_ISREG(there.st_mode);
}

static bool is_folder(int folder, const char *name)
{
    struct stat there;

    return folder_name_is_plain(name) && fstatat(folder, name, &there, 0) == 0 &&
           S_ISDIR(there.st_mode);
}

static bool is_broken_link(int folder, const char *name)
{
    struct stat there;

    return fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(there.st_mode) && fstatat(folder, name, &there, 0) < 0 &&
           errno == ENOENT;
}

static int read_names(struct folder_names *names, const char *folder,
                      bool (*wanted)(int folder, const char *name),
                      struct failure *failure)
{
    DIR *stream = opendir(folder);
    int result = 0;

    *names = (struct folder_names){.count = 0};
    if (!stream)
        return fail(failure, errno == ENOENT ? TRIT_NOT_FOUND : TRIT_UNAVAILABLE, NULL,
                    "cannot open it: %s", strerror(errno));
    while (result == 0) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(stream);
        if (!entry) {
            if (errno)
                result = fail(failure, TRIT_UNAVAILABLE, NULL, "cannot read it: %s",
                              strerror(errno));
            break;
        }
        if (wanted(dirfd(stream), entry->d_name))
            result = names_add(names, entry->d_name, failure);
    }
    closedir(stream);
    if (names->count)
        qsort(names->names, names->count, sizeof(*names->names), compare_names);
    return result;
}

int folder_names_read(struct folder_names *names, const char *folder,
                      struct failure *failure)
{
    return read_names(names, folder, is_regular, failure);
}

int folder_folders_read(struct folder_names *folders, const char *folder,
                        struct failure *failure)
{
    return read_names(folders, folder, is_folder, failure);
}

int folder_links_read(struct folder_names *links, const char *folder,
                      struct failure *failure)
{
    return read_names(links, folder, is_broken_link, failure);
}

void folder_names_fini(struct folder_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct folder_names){.count = 0};
}

static int read_all(struct source *source, char **text, size_t *bytes,
                    struct failure *failure)
{
    const uint64_t count = source_bytes(source);

    if (count > FOLDER_TEXT_BYTES_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "%" PRIu64 " bytes, at most %d are read", count,
                    FOLDER_TEXT_BYTES_MAX);
    *text = malloc((size_t)count + 1);
    if (!*text)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (source_read(source, 0, *text, count, failure) < 0) {
        free(*text);
        *text = NULL;
        return -1;
    }
    (*text)[count] = '\0';
    *bytes = (size_t)count;
    return 1;
}

int folder_read_text(const char *folder, const char *name, char **text, size_t *bytes,
                     struct failure *failure)
{
    char *path = folder_path(folder, name);
    struct source *source = NULL;
    struct failure why = {.status = TRIT_OK};
    int result;

    if (!path)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = source_open(&source, path, &why);
    const bool leads_nowhere =
        result < 0 && why.status == TRIT_NOT_FOUND && is_broken_link(AT_FDCWD, path);
    free(path);
    if (leads_nowhere)
        return fail(failure, TRIT_NOT_FOUND, NULL,
                    "%s is a link to a file that does not exist; download it again, or "
                    "remove the link",
                    name);
    if (result < 0 && why.status == TRIT_NOT_FOUND)
        return 0;
    if (result == 0)
        result = read_all(source, text, bytes, &why);
    source_close(source);
    return result < 0 ? fail(failure, why.status, NULL, "%s: %s", name, why.message)
                      : result;
}
