{{ dataset_door('train') }}
