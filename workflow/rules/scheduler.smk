# Snakemake looks for ready jobs when a job ends, and again a second after each look. So after n jobs it looks n
# times a second, at all inputs of all ready jobs. Here it waits for one look at a time.

from threading import Lock, Timer

from snakemake.scheduling.job_scheduler import JobScheduler

awaited = Lock()


def look_once(scheduler, delay):
    if awaited.acquire(blocking=False):
        Timer(delay, lambda: (awaited.release(), scheduler._open_jobs.release())).start()


JobScheduler._schedule_reevalutation = look_once
