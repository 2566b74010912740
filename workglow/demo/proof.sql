-- What was finished before the kill ran once; only what was in flight was started twice.
SELECT iif(task.finished_at < resumed.at, 'before the kill', 'after the resume') AS finished,
       task.attempt AS attempts, count(*) AS tasks
  FROM task_run AS task
  JOIN event AS resumed ON resumed.run_id = task.run_id AND resumed.kind = 'resumed'
 GROUP BY 1, 2 ORDER BY 1 DESC, 2;
