"""Where work is done: in this process, or by Ray in many, here and on other machines.

`work.py` says what work is; `local.py` and `ray_cluster.py` do it. What is computed is the same function in both.
`serving/model_workers.py` is for work that needs a stored model.
"""
