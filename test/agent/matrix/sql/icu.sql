create table words (w text primary key, plain text collate "C", built text collate "de-x-icu");
insert into words values ('Öl', 'Öl', 'Öl'), ('Zebra', 'Zebra', 'Zebra'), ('äpfel', 'äpfel', 'äpfel'), ('apfel', 'apfel', 'apfel'), ('ß', 'ß', 'ß'), ('ss', 'ss', 'ss');
create index on words (lower(w)); create index on words (w collate "C");
create table sorted as select w, row_number() over (order by w) as n, length(w) as l, upper(w) as u from words;
