create function not_here() returns event_trigger language plpgsql as $$ begin if current_database() like '%\_restore\_%' then raise exception 'not before its time'; end if; end $$;
create event trigger on_entry on login execute function not_here();
