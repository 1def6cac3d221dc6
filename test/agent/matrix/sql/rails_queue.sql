create table solid_queue_jobs (id bigserial primary key, queue_name varchar not null, class_name varchar not null, arguments text, priority integer default 0 not null,
  active_job_id varchar, scheduled_at timestamp(6), finished_at timestamp(6), concurrency_key varchar);
create table solid_queue_ready_executions (id bigserial primary key, job_id bigint not null unique, queue_name varchar not null, priority integer default 0 not null);
create table solid_queue_processes (id bigserial primary key, kind varchar not null, last_heartbeat_at timestamp(6) not null, supervisor_id bigint, pid integer not null, hostname varchar, metadata text, name varchar not null);
create table solid_queue_semaphores (id bigserial primary key, key varchar not null unique, value integer default 1 not null, expires_at timestamp(6) not null);
alter table solid_queue_ready_executions add constraint fk_rails_ready_jobs foreign key (job_id) references solid_queue_jobs (id) on delete cascade;
create index index_solid_queue_poll_all on solid_queue_ready_executions (priority, job_id);
insert into solid_queue_jobs (queue_name, class_name, arguments) select 'default', 'MailJob', json_build_object('n', i)::text from generate_series(1, 200) i;
insert into solid_queue_ready_executions (job_id, queue_name) select id, queue_name from solid_queue_jobs where id % 4 = 0;
