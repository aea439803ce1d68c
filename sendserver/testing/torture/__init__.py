"""`make torture`: the fault table of sending, each round judged by an oracle against the relays' own logs.

It drives the product from outside: its own PostgreSQL and Valkey, lanes and workers in processes of their own, two
scripted relays on real sockets whose log is the ground truth. Nothing of the product knows about it.
"""
