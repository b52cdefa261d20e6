# Snakemake looks for jobs that may start a second after each look, and after each job that ends: once n
# jobs have ended, it looks n times a second, at the inputs of all ready jobs. Here one look is awaited at a time.

from threading import Lock, Timer

from snakemake.scheduling.job_scheduler import JobScheduler

awaited = Lock()


def look_once(scheduler, delay):
    if awaited.acquire(blocking=False):
        Timer(delay, lambda: (awaited.release(), scheduler._open_jobs.release())).start()


JobScheduler._schedule_reevalutation = look_once
