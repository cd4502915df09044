#include "common/damage.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"

static void in_child(int (*fn)(void *arg, const char *path, capt_err *err), void *arg, const char *path, int to)
{
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        signal(sigs[i], SIG_DFL); /* also those of a sanitizer */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr)) /* LMDB's assertions print */
        _exit(3);
    capt_err e = CAPT_ERR_INIT;
    int rc = fn(arg, path, &e);
    if (rc && write(to, &e, sizeof e) != (ssize_t)sizeof e)
        _exit(3);
    _exit(rc ? 1 : 0);
}

int prog_in_child(int (*fn)(void *arg, const char *path, capt_err *err), void *arg, const char *path, capt_err *err)
{
    int ends[2], status = 0;
    fflush(NULL);
    if (pipe(ends))
        return capt_fail_errno(err, "pipe");
    pid_t child = fork();
    if (child < 0) {
        capt_fail_errno(err, "fork");
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    if (child == 0) {
        close(ends[0]);
        in_child(fn, arg, path, ends[1]);
    }
    close(ends[1]);
    capt_err e = CAPT_ERR_INIT;
    ssize_t n;
    do
        n = read(ends[0], &e, sizeof e); /* below PIPE_BUF: whole or not at all */
    while (n < 0 && errno == EINTR);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (n == (ssize_t)sizeof e && e.code)
        return capt_fail(err, e.code, "%s", e.text);
    if (WIFSIGNALED(status))
        return capt_fail(err, CAPT_EDATA, "%s: damaged: reading it ends by signal %d (%s)", path, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return capt_fail(err, CAPT_EDATA, "%s: damaged", path);
}

static char damage_text[512];

static void on_damage(int sig)
{
    ssize_t n = write(2, damage_text, strlen(damage_text));
    (void)n;
    (void)sig;
    _exit(1);
}

void prog_catch_damage(const capt_prog *p)
{
    capt_str names = {0};
    for (int i = 1; i < p->argc; i++) {
        capt_str_puts(&names, i > 1 ? ", " : "");
        capt_str_puts_escaped(&names, p->argv[i], strlen(p->argv[i]));
    }
    snprintf(damage_text, sizeof damage_text, "%s: %.400s: damaged; `capt-store verify` tells more\n", p->name, names.s ? names.s : "");
    capt_str_free(&names);
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        signal(sigs[i], on_damage);
}
