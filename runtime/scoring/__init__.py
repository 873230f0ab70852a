"""Scores millions of images: partition by partition, resumable, on one machine or a cluster.

find_inputs   what --images names -> rows of parquet files that hold paths or images
partition     those rows cut into partitions, each the unit of work
read_inputs   the inputs of a partition
scorer        partitions -> parquet files, by several threads that share one model
run_folder    where the files of finished partitions are, and of which run they are
score         all of it; score_locally and score_on_ray do the middle part
"""
