def test_x(trained_mill):
    mill, records = trained_mill
    for k, v in records.items():
        print(k, str(v)[:1500])
    import time

    for i in range(2):
        t = time.perf_counter()
        mill.predict()
        print("predict", time.perf_counter() - t)
    t = time.perf_counter()
    mill.monitor()
    print("monitor", time.perf_counter() - t)
    print(mill.sql("select step, wall_s from tidemill.run"))
    assert 0
