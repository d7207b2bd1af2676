-- The shop's nested queries as functions: `up` of what `stored` made of them in queries.py, nothing else.
--
-- Optional: where a function is missing, or is of another release, the statement itself is sent.

CREATE OR REPLACE FUNCTION "customer_profile_f8360d6bff"(bigint) RETURNS json LANGUAGE plpgsql STABLE AS $body_f8360d6bff$
#variable_conflict use_column
BEGIN
    RETURN (SELECT row_to_json(_row_) FROM (SELECT c.id, c.name, c.email, c.phone, c.created_at, ARRAY(SELECT _row_ FROM (SELECT a.id, a.vehicle_id, a.starts_at, a.status, a.notes, ARRAY(SELECT _row_ FROM (SELECT l.service_id, (SELECT s.name FROM services s WHERE s.id = l.service_id) AS name, l.price::text AS price FROM appointment_services l WHERE l.appointment_id = a.id ORDER BY l.service_id) _row_) AS "services", ARRAY(SELECT _row_ FROM (SELECT p.id, p.amount::text AS amount, p.method, p.paid_on FROM payments p WHERE p.appointment_id = a.id ORDER BY p.id) _row_) AS "payments", ARRAY(SELECT _row_ FROM (SELECT m.id, m.sender, m.body, m.sent_at FROM messages m WHERE m.appointment_id = a.id ORDER BY m.id) _row_) AS "messages" FROM appointments a WHERE a.customer_id = c.id ORDER BY a.starts_at DESC, a.id DESC) _row_) AS "appointments" FROM customers c WHERE c.id = $1) _row_);
END
$body_f8360d6bff$;
