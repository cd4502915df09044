/* The peer of a bench: a Python program that PEER runs. A line goes in, a line comes back: seconds, megabytes or words about itself. */
#ifndef CAPT_BENCH_PEER_H
#define CAPT_BENCH_PEER_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

typedef struct peer { pid_t pid; FILE *to, *from; } peer;

/* 1 and the program started with its n arguments, at most 3, or 0: PEER is not set. */
static int peer_start(peer *p, const char *program, int n, const char *const *argument)
{
    int in[2], out[2];
    const char *command = getenv("PEER");
    if (!command || !*command)
        return 0;
    if (pipe(in) || pipe(out))
        exit(1);
    fflush(NULL);
    p->pid = fork();
    if (p->pid == 0) {
        char line[1200];
        dup2(in[0], 0), dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        unsetenv("OPENBLAS_NUM_THREADS"), unsetenv("OPENBLAS_CORETYPE"), unsetenv("OPENBLAS_L2_SIZE"), unsetenv("OMP_NUM_THREADS");
        snprintf(line, sizeof line, "exec %s %s \"$@\"", command, program);
        const char *argv[8] = {"sh", "-c", line, "sh"};
        for (int i = 0; i < n && i < 3; i++)
            argv[4 + i] = argument[i];
        execv("/bin/sh", (char **)argv);
        _exit(127);
    }
    close(in[0]), close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return 1;
}

/* The answer to a question, without its newline; a peer that is gone ends the bench. */
static const char *peer_text(peer *p, const char *what, char *line, size_t size)
{
    fprintf(p->to, "%s\n", what);
    fflush(p->to);
    if (!fgets(line, (int)size, p->from)) {
        fprintf(stderr, "the peer failed\n");
        exit(1);
    }
    line[strcspn(line, "\n")] = 0;
    usleep(20000); /* its threads stop spinning */
    return line;
}

static double peer_ask(peer *p, const char *what)
{
    char line[100];
    return atof(peer_text(p, what, line, sizeof line));
}

static void peer_stop(peer *p)
{
    fclose(p->to);
    fclose(p->from);
    waitpid(p->pid, NULL, 0);
}
#endif
