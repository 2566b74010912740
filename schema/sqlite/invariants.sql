-- What must be true of every project file at any moment, also right after a crash.
-- Each statement finds violations: a sound file gives no rows.  `workglow doctor` runs them; so does any sqlite3 shell.
-- The line before a statement names it.

-- project_row: a file has exactly one row in table project
SELECT count(*) FROM project HAVING count(*) <> 1;

-- migrations: the migrations on record are those that user_version counts, without a gap
SELECT user_version, (SELECT count(*) FROM migration), (SELECT max(number) FROM migration) FROM pragma_user_version
WHERE user_version <> (SELECT count(*) FROM migration) OR user_version <> (SELECT max(number) FROM migration);

-- checkpoints: no checkpoint is sealed before it began
SELECT cycle, sealed FROM project WHERE sealed > cycle;

-- completed_tasks: a completed task has an output
SELECT id, path FROM task_run WHERE status = 'completed' AND output IS NULL;

-- finished_tasks: a task has an end if and only if it is over
SELECT id, path, status FROM task_run
WHERE (finished_at IS NOT NULL) <> (status IN ('completed', 'failed', 'aborted', 'disabled'));

-- started_tasks: a task that runs was started, and the attempt was counted before
SELECT id, path FROM task_run WHERE status = 'running' AND (started_at IS NULL OR attempt < 1);

-- finished_runs: a run has an end if and only if it is over
SELECT id, uid, status FROM run WHERE (finished_at IS NOT NULL) <> (status IN ('completed', 'failed', 'aborted'));

-- completed_runs: a completed run has an output
SELECT id, uid FROM run WHERE status = 'completed' AND output IS NULL;

-- open_tasks_of_finished_runs: nothing is left to do in a run that is over
SELECT task_run.id, task_run.path, run.uid FROM task_run JOIN run ON run.id = task_run.run_id
WHERE task_run.finished_at IS NULL AND run.finished_at IS NOT NULL;

-- owners_of_finished_runs: nobody drives a run that is over
SELECT id, uid, session_id FROM run WHERE finished_at IS NOT NULL AND session_id IS NOT NULL;

-- waiting_runs: a run that waits is driven by nobody, and something in it waits
SELECT id, uid, session_id FROM run
WHERE status = 'waiting'
  AND (session_id IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM task_run WHERE task_run.run_id = run.id AND task_run.status = 'waiting'));

-- waiting_tasks: a task that waits was started, says for what, and if for a time, until when
SELECT id, path, state FROM task_run
WHERE status = 'waiting'
  AND (started_at IS NULL OR attempt < 1 OR NOT coalesce(json_valid(state), 0)
       OR coalesce(json_extract(state, '$.waits_for'), '') NOT IN ('time', 'event', 'person', 'job')
       OR (json_extract(state, '$.waits_for') = 'time' AND wake_at IS NULL));

-- waiting_list: every task that waits is in table waiting, where those who bring something look for it
SELECT id, path FROM task_run WHERE status = 'waiting' AND id NOT IN (SELECT task_run_id FROM waiting);

-- waiting_only: a task that is over is not in table waiting
SELECT id, path FROM waiting JOIN task_run ON id = task_run_id WHERE finished_at IS NOT NULL;

-- answers: an answer belongs to an attempt that was made
SELECT answer.task_run_id, answer.attempt, task_run.attempt FROM answer JOIN task_run ON task_run.id = answer.task_run_id
WHERE answer.attempt > task_run.attempt;

-- queued_tasks: a task that waits for a job has one that is not over, or what it came to
SELECT task_run.id, task_run.path FROM task_run
WHERE status = 'waiting' AND json_extract(state, '$.waits_for') = 'job'
  AND NOT EXISTS (SELECT 1 FROM job WHERE job.task_run_id = task_run.id AND task_attempt = task_run.attempt
                                      AND job.finished_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.task_run_id = task_run.id AND answer.attempt = task_run.attempt);

-- jobs_of_finished_tasks: nobody works for a task that is over, unless he was told to stop
SELECT job.id, task_run.id, task_run.path FROM job JOIN task_run ON task_run.id = job.task_run_id
WHERE job.status IN ('pending', 'running') AND job.abort_reason IS NULL
  AND task_run.finished_at IS NOT NULL AND job.task_attempt = task_run.attempt;

-- submitted_runs: a submitted run that has something to act on is driven, or a job will drive it
SELECT run.id, run.uid FROM submitted_run JOIN run ON run.id = submitted_run.run_id
WHERE run.status = 'waiting'
  AND EXISTS (SELECT 1 FROM task_run JOIN answer ON answer.task_run_id = task_run.id AND answer.attempt = task_run.attempt
                                                AND answer.turn = coalesce(json_extract(task_run.state, '$.turn'), 1)
              WHERE task_run.run_id = run.id AND task_run.status = 'waiting')
  AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = submitted_run.job_id AND job.finished_at IS NULL);

-- epochs: a run's epoch only grows, and no take-over on record is later than the run's own epoch
SELECT run.id, run.uid, run.epoch, event.id FROM event JOIN run ON run.id = event.run_id
WHERE event.kind = 'resumed'
  AND (json_extract(event.data, '$.epoch') > run.epoch
       OR EXISTS (SELECT 1 FROM event AS earlier
                  WHERE earlier.run_id = event.run_id AND earlier.id < event.id AND earlier.kind = 'resumed'
                    AND json_extract(earlier.data, '$.epoch') >= json_extract(event.data, '$.epoch')));

-- reused_outputs: an output that was reused came from a task that completed
SELECT task_run.id, task_run.path FROM task_run JOIN task_run AS source ON source.id = task_run.source_id
WHERE source.status <> 'completed';

-- chunks_of_finished_tasks: what a task streamed is gone when the task is over
SELECT DISTINCT task_run.id, task_run.path FROM stream_chunk JOIN task_run ON task_run.id = stream_chunk.task_run_id
WHERE task_run.finished_at IS NOT NULL;

-- chunk_attempts: nothing was streamed by an attempt that was not begun
SELECT DISTINCT task_run.id, task_run.path FROM stream_chunk JOIN task_run ON task_run.id = stream_chunk.task_run_id
WHERE stream_chunk.attempt > task_run.attempt;

-- valid_json: what is JSON can be read
SELECT 'task_run', id FROM task_run
WHERE (output IS NOT NULL AND NOT json_valid(output)) OR (error IS NOT NULL AND NOT json_valid(error))
   OR (state IS NOT NULL AND NOT json_valid(state)) OR (usage IS NOT NULL AND NOT json_valid(usage));

-- values: every value that is referred to is there
WITH text (place, id, json) AS (
  SELECT 'task_run.output', id, output FROM task_run WHERE output LIKE '%"$value"%'
  UNION ALL SELECT 'run.input', id, input FROM run WHERE input LIKE '%"$value"%'
  UNION ALL SELECT 'run.output', id, output FROM run WHERE output LIKE '%"$value"%'
  UNION ALL SELECT 'task_run.state', id, state FROM task_run WHERE state LIKE '%"$value"%'
  UNION ALL SELECT 'answer.content', task_run_id, content FROM answer WHERE content LIKE '%"$value"%'
  UNION ALL SELECT 'answer.question', task_run_id, question FROM answer WHERE question LIKE '%"$value"%'
  UNION ALL SELECT 'sent_event.content', id, content FROM sent_event WHERE content LIKE '%"$value"%'
  UNION ALL SELECT 'task_output.output', hex(cache_key), output FROM task_output WHERE output LIKE '%"$value"%'
  UNION ALL SELECT 'stream_chunk.data', seq, data FROM stream_chunk WHERE data LIKE '%"$value"%'
  UNION ALL SELECT 'job.input', id, input FROM job WHERE input LIKE '%"$value"%'
  UNION ALL SELECT 'job.output', id, output FROM job WHERE output LIKE '%"$value"%'
  UNION ALL SELECT 'schedule.input', id, input FROM schedule WHERE input LIKE '%"$value"%'
)
SELECT text.place, text.id, reference.value FROM text, json_tree(text.json) AS reference
WHERE json_valid(text.json) AND reference.key = '$value' AND reference.type = 'text' AND length(reference.value) = 64
  AND upper(reference.value) NOT IN (SELECT hex(hash) FROM value);

-- vectors: every vector of a knowledge base has its dimensions, as 4-byte floats
SELECT chunk.id FROM chunk
JOIN document ON document.id = chunk.document_id
JOIN knowledge_base ON knowledge_base.id = document.base_id
WHERE length(chunk.vector) <> 4 * knowledge_base.dimensions;

-- words: the word index holds the chunks there are, and no others
SELECT 'not indexed', id FROM chunk WHERE id NOT IN (SELECT id FROM chunk_text_docsize)
UNION ALL
SELECT 'indexed, but gone', id FROM chunk_text_docsize WHERE id NOT IN (SELECT id FROM chunk);

-- graph_names: a name stands for the newest of its versions, and the versions are counted without a gap
SELECT name, graph_id FROM graph_name
WHERE graph_id IS NOT (SELECT graph_id FROM graph_version WHERE graph_version.name = graph_name.name
                       ORDER BY number DESC LIMIT 1)
   OR (SELECT max(number) - count(*) FROM graph_version WHERE graph_version.name = graph_name.name) <> 0;

-- running_jobs: a job that runs was started by somebody, and the claim and the attempt were counted before
SELECT id FROM job
WHERE status = 'running' AND (started_at IS NULL OR session_id IS NULL OR claim < 1 OR attempt < 1);

-- jobs_of_workers: whoever runs a job is a worker that says so, or nobody would find the job when it dies
SELECT id, session_id FROM job
WHERE status = 'running'
  AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.session_id = job.session_id AND jobs_from <= job.id);

-- finished_jobs: a job has an end if and only if it is over
SELECT id, status FROM job WHERE (finished_at IS NOT NULL) <> (status IN ('completed', 'failed', 'aborted'));

-- completed_jobs: a completed job has an output, and no other has one
SELECT id, status FROM job WHERE (output IS NOT NULL) <> (status = 'completed');

-- job_attempts: no job was tried more often than it may be, or was claimed
SELECT id, attempt, max_attempts, claim FROM job WHERE attempt > max_attempts OR attempt > claim OR attempt < 0;

-- job_claims: an attempt that is over belongs to a claim that was made, and not to the one that runs or has completed
SELECT job_id, job_attempt.claim, job.claim FROM job_attempt JOIN job ON job.id = job_id
WHERE job_attempt.claim > job.claim
   OR (job_attempt.claim = job.claim AND job.status IN ('running', 'completed'));

-- deferred_jobs: only a pending job waits for a time
SELECT id, status FROM job WHERE run_after IS NOT NULL AND status <> 'pending';

-- needed_jobs: a pending job waits for as many jobs as are listed, and none of them is completed, or gone
SELECT id, waits_for FROM job
WHERE status = 'pending' AND waits_for <> (SELECT count(*) FROM job_dependency WHERE job_id = job.id)
UNION ALL
SELECT job_id, needs_id FROM job_dependency JOIN job ON job.id = job_id
WHERE job.status = 'pending' AND needs_id NOT IN (SELECT id FROM job WHERE status <> 'completed');

-- started_early: a job that was started, and what it needs is not completed
SELECT job_id, needs_id FROM job_dependency JOIN job ON job.id = job_id WHERE job.status IN ('running', 'completed');

-- aborted_jobs: nobody wants a job to stop that does not run
SELECT id, status FROM job WHERE abort_reason IS NOT NULL AND status IN ('pending', 'completed');

-- kept_jobs: a job that is not over is not deleted
SELECT id, status FROM job WHERE delete_at IS NOT NULL AND finished_at IS NULL;

-- job_json: what is JSON in a job can be read
SELECT id FROM job
WHERE NOT json_valid(input) OR (output IS NOT NULL AND NOT json_valid(output))
   OR (error IS NOT NULL AND NOT json_valid(error)) OR (options IS NOT NULL AND NOT json_valid(options))
   OR (progress IS NOT NULL AND NOT json_valid(progress));

-- limiter_slots: a slot of a job belongs to a claim that has not ended
SELECT job_id, number, limiter_id FROM limiter_slot
WHERE job_id <> 0
  AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = job_id AND job.claim = number AND job.status = 'running');

-- limiters: what a limiter remembers can be read, and has a part for each of its rules or none
SELECT id, name FROM limiter
WHERE NOT json_valid(state) OR json_array_length(state) NOT IN (0, json_array_length(rules));

-- queue_limiters: the limiters of a queue are there
SELECT queue.id, each.value FROM queue, json_each(queue.limiters) AS each
WHERE queue.limiters IS NOT NULL AND each.value NOT IN (SELECT id FROM limiter);

-- changes: they are counted without a gap, all of them are there from the number on that the log names, and the newest
-- row stays, so that its number is not used again
SELECT 'gap', count(*), min(seq), max(seq) FROM change HAVING count(*) <> coalesce(max(seq) - min(seq) + 1, 0)
UNION ALL
SELECT 'lost', first_seq, (SELECT min(seq) FROM change), (SELECT max(seq) FROM change) FROM change_log
 WHERE first_seq < coalesce((SELECT min(seq) FROM change), 0)
    OR first_seq > coalesce((SELECT max(seq) FROM change), 0) + 1;

-- schedules: one that is neither paused nor put aside knows when it is due next
SELECT name FROM schedule WHERE next_at IS NULL AND paused_at IS NULL AND error IS NULL AND every IS NOT NULL
UNION ALL
SELECT name FROM schedule WHERE next_at IS NOT NULL AND paused_at IS NOT NULL;
