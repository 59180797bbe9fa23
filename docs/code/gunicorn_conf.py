"""Settings of gunicorn: `gunicorn -c gunicorn_conf.py "operation:create_app()"`."""

bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 4  # processes: about the number of cores
threads = 8  # requests at once in each; most of the time a request waits for the database
max_requests = 10_000
max_requests_jitter = 1_000
graceful_timeout = 30  # longer than the slowest request: who is still under way then is killed
