# The packages of requirements.lock and the command histopair: docs/how-to.md.
FROM python:3.11-slim
# OpenMP, for wheels that do not bring it.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /histopair/
RUN pip install --no-cache-dir --require-hashes -r /histopair/requirements.lock
COPY . /histopair
# Any user may run it; caches then lie beside the results.
ENV HOME=/work
WORKDIR /work
ENTRYPOINT ["python", "/histopair/workflow/commands"]
