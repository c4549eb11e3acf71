"""How gunicorn serves the IAM: TLS with the host's certificate, one process, threads for waiting clients."""

bind = "0.0.0.0:8443"
certfile = "/run/iam/hostcert.pem"
keyfile = "/run/iam/hostkey.pem"
worker_class = "gthread"
workers = 1
threads = 16
keepalive = 5
graceful_timeout = 5
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(D)sus'
