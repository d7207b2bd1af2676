-- The shop's rows. Each `-- step: TABLE` is one statement; %(customers)s, %(cohort)s and %(appointments)s come
-- from seed.py. Chance is a hash of the row's own number, so the same size is always the same rows; times are
-- counted in seconds from a fixed start, as days are longer or shorter by the session's time zone.

-- step: services
INSERT INTO services (id, name, price)
SELECT n,
       (ARRAY['Oil change', 'Brake pads', 'Tyres', 'Inspection', 'Battery', 'Timing belt', 'Clutch', 'Exhaust'])
           [1 + mod(n - 1, 8)] || ', ' ||
       (ARRAY['small car', 'estate', 'van', 'lorry', 'motorbike'])[1 + (n - 1) / 8],
       19 + mod(n * 37, 480) + mod(n, 4) * 0.25
FROM generate_series(1, 40) n;

-- step: customers
INSERT INTO customers (id, name, email, phone, created_at)
SELECT n,
       (ARRAY['Ada', 'Zoë', 'Søren', 'José', 'Ngozi', 'Mary Jo', 'Łukasz', 'Πέτρος', '美玲', 'Bo'])
           [1 + pg_temp.dice(n, 1, 10)] || ' ' ||
       (ARRAY['Lovelace', 'O''Brien', 'Müller', 'García "Pepe"', 'Okafor', 'Smith', 'Nowak', 'Jensen', 'Li', 'X'])
           [1 + pg_temp.dice(n, 2, 10)],
       'customer' || n || '@example.com',
       CASE WHEN pg_temp.dice(n, 3, 10) > 0 THEN '+49 30 ' || 1000000 + pg_temp.dice(n, 4, 9000000) END,
       to_timestamp(1609459200 + n * 600)
FROM generate_series(1, %(customers)s) n;

-- step: vehicles
INSERT INTO vehicles (id, customer_id, plate, make, model, year)
SELECT row_number() OVER (ORDER BY c.id, k),
       c.id,
       chr(65 + pg_temp.dice(c.id, 5, 26)) || '-' || chr(64 + k) || ' ' || 1000 + pg_temp.dice(c.id, 6, 9000),
       (ARRAY['Volvo', 'Škoda', 'Citroën', 'Ford', 'Toyota'])[1 + pg_temp.dice(c.id + k, 7, 5)],
       (ARRAY['Kombi', 'Pickup', 'GT/S', 'Mini \ Max', 'e-208'])[1 + pg_temp.dice(c.id + k, 8, 5)],
       1995 + pg_temp.dice(c.id + k, 9, 30)
FROM customers c
CROSS JOIN LATERAL generate_series(1, 1 + pg_temp.dice(c.id, 10, 3)) k;

-- Few appointments for most, 200 for some, 2000 for one in five thousand, none for one in ten at least. They
-- are numbered by time, as if booked over the years: a customer's rows lie apart, as they do in real tables.
-- step: appointments
INSERT INTO appointments (id, customer_id, vehicle_id, starts_at, status, notes)
SELECT row_number() OVER (ORDER BY starts_at, customer_id, k), customer_id, vehicle_id, starts_at,
       (ARRAY['done', 'done', 'done', 'done', 'done', 'done', 'done', 'booked', 'booked', 'cancelled'])
           [1 + pg_temp.dice(number, 13, 10)],
       (ARRAY['Leave the key in the box.', E'Noise:\n\t"clack" at 80 km/h', 'Kühlung prüfen – bitte 🙏'])
           [1 + pg_temp.dice(number, 14, 10)]
FROM (
    SELECT c.id AS customer_id, k, c.id * 100000 + k AS number, garage.first + mod(k, garage.size) AS vehicle_id,
           to_timestamp(1641196800 + pg_temp.dice(c.id * 100000 + k, 11, 1400) * 86400
                        + pg_temp.dice(c.id * 100000 + k, 12, 20) * 1800) AS starts_at
    FROM customers c
    JOIN (SELECT customer_id, min(id) AS first, count(*) AS size FROM vehicles GROUP BY customer_id) garage
        ON garage.customer_id = c.id
    CROSS JOIN LATERAL generate_series(1, CASE
        WHEN c.id <= %(cohort)s THEN %(appointments)s
        WHEN mod(c.id, 5000) = 51 THEN 2000
        WHEN mod(c.id, 250) = 52 THEN 200
        WHEN mod(c.id, 10) = 3 THEN 0
        ELSE pg_temp.dice(c.id, 15, 11) * (1 + pg_temp.dice(c.id, 16, 11)) / 11
    END) k
) booked;

-- Steps of 7 through 40 services meet none twice.
-- step: appointment_services
INSERT INTO appointment_services (appointment_id, service_id, price)
SELECT a.id, s.id, s.price
FROM appointments a
CROSS JOIN LATERAL generate_series(0, pg_temp.dice(a.id, 17, 4)) k
JOIN services s ON s.id = 1 + mod(pg_temp.dice(a.id, 18, 40) + 7 * k, 40)
ORDER BY a.id, s.id;

-- Two in ten owe everything, two in ten pay in two halves.
-- step: payments
INSERT INTO payments (id, appointment_id, amount, method, paid_on)
SELECT row_number() OVER (ORDER BY paid_on, appointment_id, k), appointment_id, amount,
       (ARRAY['card', 'card', 'cash', 'transfer'])[1 + pg_temp.dice(appointment_id + k, 20, 4)], paid_on
FROM (
    SELECT a.id AS appointment_id, k,
           CASE WHEN parts = 1 THEN total WHEN k = 1 THEN round(total / 2, 2)
                ELSE total - round(total / 2, 2) END AS amount,
           (a.starts_at AT TIME ZONE 'UTC')::date + 7 * (k - 1) + pg_temp.dice(a.id, 21, 7) AS paid_on
    FROM appointments a
    JOIN (SELECT appointment_id, sum(price) AS total FROM appointment_services GROUP BY appointment_id) bill
        ON bill.appointment_id = a.id
    CROSS JOIN LATERAL (SELECT (ARRAY[0, 0, 1, 1, 1, 1, 1, 1, 2, 2])[1 + pg_temp.dice(a.id, 19, 10)]) p (parts)
    CROSS JOIN LATERAL generate_series(1, parts) k
) paid;

-- step: messages
INSERT INTO messages (id, appointment_id, sender, body, sent_at)
SELECT row_number() OVER (ORDER BY a.id, k), a.id,
       CASE WHEN mod(k, 2) = 1 THEN 'customer' ELSE 'shop' END,
       (ARRAY['Can I come an hour earlier?', 'Yes, of course.', E'It''s the "red" one.\nThanks!', 'Ça marche 👍',
              'Price: 100 %% as agreed', E'Tab\there, back\\slash there', 'OK', 'お願いします'])
           [1 + pg_temp.dice(a.id + k, 23, 8)],
       a.starts_at - make_interval(hours => 5 * (4 - k))
FROM appointments a
CROSS JOIN LATERAL generate_series(1, pg_temp.dice(a.id, 22, 4)) k;
